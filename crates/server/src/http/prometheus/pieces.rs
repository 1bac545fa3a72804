//! An answer that is sent while it is written: what fits into one piece goes whole, with its length; a large one in pieces.
//!
//! At most a few pieces wait for a slow reader, who does not keep other queries from their turn. Whoever writes stops when nobody
//! reads any more, or when the time is up.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::Stream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use wire::prom_json::Out;

use super::json;
use crate::http::limits::Limits;

/// Size of a piece, in bytes.
const PIECE_LEN: usize = 64 * 1024;
/// Most pieces that wait for their reader.
const PIECES_WAITING: usize = 4;

/// Where an answer is written on a thread that may block.
pub(super) struct Pieces {
    buffer: Vec<u8>,
    head: Option<oneshot::Sender<Response>>,
    sent: Option<mpsc::Sender<Bytes>>,
    whole: Arc<AtomicBool>,
    runtime: Handle,
    deadline: Instant,
    stopped: bool,
    turn: Turn,
}

/// A query's place among those that run, and where its answer gets one once it is evaluated. Where there is none it keeps its own.
pub(super) struct Turn {
    /// Its place.
    pub held: OwnedSemaphorePermit,
    /// Gives places to answers.
    pub limits: Arc<Limits>,
}

impl Pieces {
    /// Gives the response to `head` as soon as it is known how it begins.
    pub fn new(head: oneshot::Sender<Response>, deadline: Instant, turn: Turn) -> Pieces {
        Pieces {
            buffer: Vec::new(),
            head: Some(head),
            sent: None,
            whole: Arc::default(),
            runtime: Handle::current(),
            deadline,
            stopped: false,
            turn,
        }
    }

    /// Everything is written.
    pub fn finish(mut self) {
        if self.stopped {
            return;
        }
        match self.head.take() {
            // Whoever asked may have gone: nobody to tell.
            Some(head) => drop(head.send(json(std::mem::take(&mut self.buffer)))),
            None => {
                self.send();
                self.whole.store(!self.stopped, Ordering::Release);
            }
        }
    }

    fn send(&mut self) {
        let piece = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE_LEN + PIECE_LEN / 4)));
        if let Some(head) = self.head.take() {
            // What is sent is evaluated.
            if let Some(place) = self.turn.limits.answer_place_now() {
                self.turn.held = place;
            }
            let (sent, pieces) = mpsc::channel(PIECES_WAITING);
            let body = Body::from_stream(Sent { pieces, whole: self.whole.clone() });
            let mut response = json(Vec::new());
            *response.body_mut() = body;
            response.headers_mut().remove(axum::http::header::CONTENT_LENGTH);
            self.sent = Some(sent);
            self.stopped = head.send(response).is_err();
        }
        if let Some(sent) = &self.sent {
            let given = self.runtime.block_on(tokio::time::timeout_at(self.deadline.into(), sent.send(piece)));
            self.stopped |= !matches!(given, Ok(Ok(())));
        }
    }
}

impl Out for Pieces {
    fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn pass(&mut self) -> bool {
        if self.buffer.len() >= PIECE_LEN && !self.stopped {
            self.send();
        }
        !self.stopped
    }
}

/// The pieces as a body. One that ends early ends with an error, so that its reader does not take it for the whole.
struct Sent {
    pieces: mpsc::Receiver<Bytes>,
    whole: Arc<AtomicBool>,
}

impl Stream for Sent {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.pieces.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(piece)) => Poll::Ready(Some(Ok(piece))),
            Poll::Ready(None) if self.whole.swap(true, Ordering::AcqRel) => Poll::Ready(None),
            Poll::Ready(None) => Poll::Ready(Some(Err(std::io::Error::other("the answer was cut: it took too long to read")))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::time::Duration;

    fn turn(limits: &Arc<Limits>) -> Turn {
        Turn { held: limits.query_turn_now().unwrap(), limits: limits.clone() }
    }

    #[tokio::test]
    async fn who_reads_slowly_keeps_nobody_from_a_turn() {
        let limits = Arc::new(Limits::new());
        let mut answers = Vec::new();
        for _ in 0..10 {
            answers.push(written_in(turn(&limits), 5_000, Duration::from_secs(30)).await);
        }
        // Nobody has read anything yet.
        assert!(answers.iter().all(|(_, writing)| !writing.is_finished()));
        assert!(limits.query_turn_now().is_some());
        drop(answers);
    }

    async fn written(rows: usize, within: Duration) -> (Response, tokio::task::JoinHandle<usize>) {
        written_in(turn(&Arc::new(Limits::new())), rows, within).await
    }

    async fn written_in(turn: Turn, rows: usize, within: Duration) -> (Response, tokio::task::JoinHandle<usize>) {
        let (head, response) = oneshot::channel();
        let writing = tokio::task::spawn_blocking(move || {
            let mut out = Pieces::new(head, Instant::now() + within, turn);
            for row in 0..rows {
                out.bytes().extend_from_slice(&[b'x'; 1_000]);
                if !out.pass() {
                    return row;
                }
            }
            out.finish();
            rows
        });
        (response.await.unwrap(), writing)
    }

    #[tokio::test]
    async fn small_whole_large_in_pieces_and_cut_with_an_error() {
        let (small, _) = written(10, Duration::from_secs(10)).await;
        assert_eq!(small.into_body().collect().await.unwrap().to_bytes().len(), 10_000);
        let (large, _) = written(5_000, Duration::from_secs(10)).await;
        assert_eq!(large.into_body().collect().await.unwrap().to_bytes().len(), 5_000_000);
        // Nobody reads: the writer ends with its time, and what was read is no whole answer.
        let (slow, writing) = written(5_000, Duration::from_millis(50)).await;
        assert!(writing.await.unwrap() < 1_000);
        assert!(slow.into_body().collect().await.is_err());
        let (gone, writing) = written(5_000, Duration::from_secs(30)).await;
        drop(gone);
        assert!(writing.await.unwrap() < 1_000);
    }
}
