//! From a push to a webhook: the trials, the webhook's receiver, and the ideal target, which is the floor of that path.

use std::collections::HashMap;
use std::io::{BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::encode::Form;
use super::http::{Client, read_head};
use super::send::now_ms;

/// What has not come so long after the last push does not come.
const WAIT: Duration = Duration::from_secs(20);

/// Pushes each trial's bad sample over one warm connection and waits for the notices that name them, in milliseconds.
pub fn push_trials(client: &mut Client, path: &str, trials: usize, notices: &Receiver<(u64, Instant)>) -> Result<Vec<f64>> {
    let headers = Form::Influx.headers();
    let point = |trial: usize, bad: u8| format!("bench,trial={trial} bad={bad} {}\n", now_ms());
    let healthy: String = (0..trials).map(|trial| point(trial, 0)).collect();
    client.post(path, headers, healthy.as_bytes())?;
    std::thread::sleep(Duration::from_secs(2));
    let mut began = HashMap::new();
    for trial in 0..trials {
        // 25 to 75 ms apart, never in step with the load beside it.
        std::thread::sleep(Duration::from_millis(25 + (trial as u64 * 7_919) % 51));
        let body = point(trial, 1);
        began.insert(trial as u64, Instant::now());
        client.post(path, headers, body.as_bytes())?;
    }
    let end = Instant::now() + WAIT;
    let mut times = Vec::new();
    while !began.is_empty() {
        let Ok((trial, arrived)) = notices.recv_timeout(end.saturating_duration_since(Instant::now())) else { break };
        if let Some(sent) = began.remove(&trial) {
            times.push((arrived - sent).as_secs_f64() * 1e3);
        }
    }
    Ok(times)
}

/// The same through the ideal target.
pub fn through_stub(trials: usize) -> Result<Vec<f64>> {
    // A receiver of its own: what another target still has to say is no notice of the stub's.
    let (hook, notices) = receive()?;
    push_trials(&mut Client::new(&stub(&hook)?, ""), "/write", trials, &notices)
}

/// The receiver's address, and each trial that a whole body names, with the instant of the body's last byte.
pub fn receive() -> Result<(String, Receiver<(u64, Instant)>)> {
    let (sender, receiver) = channel();
    let address = serve(move |body, arrived| named(body, arrived, &sender))?;
    Ok((address, receiver))
}

fn named(body: &str, arrived: Instant, sender: &Sender<(u64, Instant)>) {
    for rest in body.split("\"trial\":").skip(1) {
        let digits: String = rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        if let Ok(trial) = digits.parse() {
            let _ = sender.send((trial, arrived));
        }
    }
}

/// Posts what is bad at once, keeps nothing.
fn stub(hook: &str) -> Result<String> {
    let hook = Mutex::new(Client::new(hook, ""));
    serve(move |body, _| {
        for line in body.lines().filter(|line| line.contains(" bad=1 ")) {
            let trial = line.split("trial=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("");
            let notice = format!("{{\"alerts\":[{{\"labels\":{{\"trial\":\"{trial}\"}}}}]}}");
            if let Ok(mut hook) = hook.lock() {
                let _ = hook.post("/", "content-type: application/json\r\n", notice.as_bytes());
            }
        }
    })
}

/// A server whose every body goes to `got`; answers 204 after that.
fn serve(got: impl Fn(&str, Instant) + Send + Sync + 'static) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let got = Arc::new(got);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let got = got.clone();
            std::thread::spawn(move || serve_connection(stream, &*got));
        }
    });
    Ok(address)
}

fn serve_connection(stream: TcpStream, got: &(impl Fn(&str, Instant) + Send + Sync)) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let head = read_head(&mut stream)?;
        let mut body = vec![0; head.length.unwrap_or(0).min(16 << 20)];
        stream.read_exact(&mut body)?;
        got(&String::from_utf8_lossy(&body), Instant::now());
        stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}
