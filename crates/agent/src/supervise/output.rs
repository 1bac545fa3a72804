//! What a supervised process writes: into a file, from there line by line to the server.
//!
//! A file and no pipe, because a process must outlive its agent: a pipe without reader would end or block it. The file is
//! emptied when it has grown large and everything in it was read; lines that are written between these two moments are
//! lost. Lines are cut at 8 KiB, and beyond a rate they are counted instead of sent.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest line.
pub const LINE_LEN_MAX: usize = 8 * 1024;
/// Most lines a second; the rest is counted.
const LINES_PER_SECOND: u32 = 500;
/// Emptied beyond this size.
const FILE_LEN_MAX: u64 = 8 * 1024 * 1024;
/// More than this unread is skipped: it was written while no agent was there.
const BEHIND_MAX: u64 = 1024 * 1024;
/// Read at once.
const READ_LEN: usize = 64 * 1024;
/// Lines that are kept to say why a start failed.
const LAST_LINES: usize = 5;

/// Reads the output of one service.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    offset_path: PathBuf,
    file: Option<File>,
    offset: u64,
    saved: u64,
    partial: Vec<u8>,
    last: VecDeque<String>,
    window: Instant,
    in_window: u32,
    left_out: u64,
}

impl Output {
    /// Of the service with this folder; goes on where the agent before ended.
    pub fn new(folder: &Path) -> Output {
        let offset_path = folder.join("output.offset");
        let offset = std::fs::read_to_string(&offset_path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        Output {
            path: folder.join("output.log"),
            offset_path,
            file: None,
            offset,
            saved: offset,
            partial: Vec::new(),
            last: VecDeque::new(),
            window: Instant::now(),
            in_window: 0,
            left_out: 0,
        }
    }

    /// The file for a new process to append to.
    pub fn writer(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)
    }

    /// The last lines, joined: for a sentence about a failed start.
    pub fn last_lines(&self) -> String {
        self.last.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }

    /// New lines since the last call, at most about as many as may be sent in the time between.
    pub fn read(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Err(error) = self.read_into(&mut lines)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(path = %self.path.display(), %error, "the output can't be read");
        }
        self.limit(lines)
    }

    fn read_into(&mut self, lines: &mut Vec<String>) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(OpenOptions::new().read(true).write(true).open(&self.path)?);
        }
        let Some(file) = &self.file else { return Ok(()) };
        let len = file.metadata()?.len();
        if len < self.offset {
            self.offset = 0;
        }
        if len - self.offset > BEHIND_MAX {
            lines.push(format!("flyball: {} bytes of output were skipped", len - BEHIND_MAX - self.offset));
            self.offset = len - BEHIND_MAX;
            self.partial.clear();
        }
        let mut buffer = vec![0; READ_LEN.min((len - self.offset) as usize)];
        while self.offset < len {
            let got = file.read_at(&mut buffer, self.offset)?;
            if got == 0 {
                break;
            }
            self.offset += got as u64;
            split(&mut self.partial, &buffer[..got], lines);
        }
        if self.offset > FILE_LEN_MAX && file.metadata()?.len() == self.offset {
            file.set_len(0)?;
            self.offset = 0;
        }
        let whole_lines = self.offset - self.partial.len() as u64;
        if whole_lines != self.saved {
            // Not synced: after a power cut some lines are sent twice, or none, and that is all.
            std::fs::write(&self.offset_path, whole_lines.to_string())?;
            self.saved = whole_lines;
        }
        Ok(())
    }

    fn limit(&mut self, lines: Vec<String>) -> Vec<String> {
        if self.window.elapsed() >= Duration::from_secs(1) {
            self.window = Instant::now();
            self.in_window = 0;
        }
        let mut kept = Vec::new();
        if self.left_out > 0 && self.in_window == 0 {
            kept.push(format!("flyball: {} lines of output were left out, {LINES_PER_SECOND} a second at most", self.left_out));
            self.left_out = 0;
        }
        for line in lines {
            if self.in_window < LINES_PER_SECOND {
                self.in_window += 1;
                self.last.push_back(line.chars().take(300).collect());
                if self.last.len() > LAST_LINES {
                    self.last.pop_front();
                }
                kept.push(line);
            } else {
                self.left_out += 1;
            }
        }
        kept
    }
}

fn split(partial: &mut Vec<u8>, bytes: &[u8], lines: &mut Vec<String>) {
    let mut push = |line: &[u8]| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            lines.push(String::from_utf8_lossy(line).into_owned());
        }
    };
    for &byte in bytes {
        if byte == b'\n' {
            push(partial);
            partial.clear();
        } else {
            // Lossy text may be three times as long: cut where the limit holds afterwards too.
            if partial.len() >= LINE_LEN_MAX / 3 && (partial.len() >= LINE_LEN_MAX || str::from_utf8(&[byte]).is_err()) {
                push(partial);
                partial.clear();
            }
            partial.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_come_once_and_half_lines_wait() {
        let place = tempfile::tempdir().unwrap();
        let mut output = Output::new(place.path());
        assert!(output.read().is_empty());
        let mut writer = output.writer().unwrap();
        writer.write_all(b"one\r\n\ntw").unwrap();
        assert_eq!(output.read(), ["one"]);
        writer.write_all(b"o\nthree").unwrap();
        // The next agent goes on behind the last whole line.
        let mut next = Output::new(place.path());
        assert_eq!(output.read(), ["two"]);
        writer.write_all(b"\n").unwrap();
        assert_eq!(next.read(), ["two", "three"]);
        assert_eq!(Output::new(place.path()).read(), Vec::<String>::new());
        assert_eq!(next.last_lines(), "two | three");
    }

    #[test]
    fn long_lines_are_cut_and_many_are_counted() {
        let place = tempfile::tempdir().unwrap();
        let mut output = Output::new(place.path());
        let mut writer = output.writer().unwrap();
        writer.write_all(&b"x".repeat(LINE_LEN_MAX * 2 + 5)).unwrap();
        writer.write_all(b"\n").unwrap();
        let lens: Vec<usize> = output.read().iter().map(String::len).collect();
        assert_eq!(lens, [LINE_LEN_MAX, LINE_LEN_MAX, 5]);
        writer.write_all(&b"a\n".repeat(2_000)).unwrap();
        assert_eq!(output.read().len(), LINES_PER_SECOND as usize - 3);
        output.window -= Duration::from_secs(2);
        assert_eq!(
            output.read(),
            [format!("flyball: {} lines of output were left out, 500 a second at most", 2_003 - LINES_PER_SECOND)]
        );
        writer.write_all(&vec![0xff; 2 << 20]).unwrap();
        let lines = output.read();
        assert!(lines[0].contains("were skipped") && lines.iter().all(|line| line.len() <= LINE_LEN_MAX), "{}", lines[0]);
    }

    #[test]
    fn a_large_file_is_emptied() {
        let place = tempfile::tempdir().unwrap();
        let mut output = Output::new(place.path());
        let mut writer = output.writer().unwrap();
        for _ in 0..17 {
            writer.write_all(&b"y".repeat(512 * 1024)).unwrap();
            writer.write_all(b"\n").unwrap();
            output.read();
        }
        assert!(std::fs::metadata(place.path().join("output.log")).unwrap().len() < FILE_LEN_MAX);
        writer.write_all(b"after\n").unwrap();
        output.window -= Duration::from_secs(2);
        assert!(output.read().iter().any(|line| line == "after"));
    }
}
