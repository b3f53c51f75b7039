//! An HTTP server whose every answer is written by the test: each request is handed over with its connection, and
//! nothing comes back until the test says so.
//!
//! For whoever asks the user's own server, of which there is no specification but ours. It reads one request after
//! another off a connection; what it cannot read ends the connection.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Only a broken client lets anybody wait so long.
const DEADLINE: Duration = Duration::from_secs(20);

/// A server in a test's hand.
pub struct Server {
    pub address: SocketAddr,
    requests: Receiver<Request>,
}

/// One request, to be answered by the test.
pub struct Request {
    /// The request line and the headers, as they came.
    pub head: String,
    /// The body, read as JSON.
    pub body: Value,
    /// The body, as it came.
    pub raw: String,
    /// The connection.
    pub answer: TcpStream,
    /// Tells the connection's reader that the answer is written.
    go_on: Sender<()>,
}

impl Server {
    /// On a free port of this machine.
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (told, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, told) = (stream.unwrap(), told.clone());
                std::thread::spawn(move || serve(stream, &told));
            }
        });
        Server { address, requests }
    }

    /// An address where nobody listens: a port that was just free.
    pub fn nobody() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    }

    /// The next request; waits for it.
    #[track_caller]
    pub fn request(&self) -> Request {
        self.requests.recv_timeout(DEADLINE).unwrap()
    }

    /// Whether a request waits that nobody has taken.
    pub fn is_asked(&self) -> bool {
        self.requests.try_recv().is_ok()
    }

    /// Where it is asked, with a secret behind the path.
    pub fn url(&self) -> String {
        format!("http://{}/bot?token=canary", self.address)
    }
}

/// Reads requests off one connection, for as long as the test lets it.
fn serve(stream: TcpStream, told: &Sender<Request>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match reader.read_line(&mut head) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let raw = String::from_utf8(body).unwrap();
        let (go_on, answered) = channel();
        let request = Request {
            head,
            body: serde_json::from_str(&raw).unwrap(),
            raw,
            answer: stream.try_clone().unwrap(),
            go_on,
        };
        if told.send(request).is_err() || answered.recv().is_err() {
            return;
        }
    }
}

impl Request {
    /// These bytes, as they are.
    pub fn write(&mut self, text: &str) {
        self.answer.write_all(text.as_bytes()).unwrap();
    }

    /// The answer is whole; the connection stays for the next request.
    pub fn done(self) {
        self.go_on.send(()).unwrap();
    }

    /// A whole answer.
    pub fn answer(mut self, status: &str, kind: &str, body: &str) {
        let length = body.len();
        self.write(&format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        ));
        self.done();
    }

    /// 200 with this JSON.
    pub fn says(self, body: Value) {
        self.answer("200 OK", "application/json", &body.to_string());
    }

    /// The head of an answer that comes in chunks.
    pub fn begin(&mut self, kind: &str) {
        self.write(&format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        ));
    }

    /// A chunk of it.
    pub fn chunk(&mut self, text: &str) {
        self.write(&format!("{:x}\r\n{text}\r\n", text.len()));
    }

    /// Waits until the other side has given the connection up.
    #[track_caller]
    pub fn wait_until_dropped(mut self) {
        self.answer.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut bytes = [0; 16];
        let read = self.answer.read(&mut bytes);
        assert!(matches!(read, Ok(0)) || read.is_err_and(|e| e.raw_os_error() == Some(104)));
    }
}
