//! A websocket whose every byte a test decides.

use super::{DEADLINE, Daemon};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

/// A websocket that sends whatever a test wants.
pub struct Raw {
    stream: TcpStream,
    pub stream_sid: String,
}

impl Raw {
    /// After the handshake.
    pub fn open(daemon: &Daemon) -> Raw {
        Raw::open_at(daemon, "/ws/audio/stream/")
    }

    /// The same at another path.
    pub fn open_at(daemon: &Daemon, path: &str) -> Raw {
        Raw::over(TcpStream::connect(daemon.address).unwrap(), path)
    }

    /// After the handshake on a connection whose kernel keeps as little as it can for us: soon full if nobody reads.
    pub fn narrow(daemon: &Daemon) -> Raw {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        // The kernel raises it to its own least, about 2 KB.
        socket.set_recv_buffer_size(1).unwrap();
        socket.connect(&daemon.address.into()).unwrap();
        Raw::over(socket.into(), "/ws/audio/stream/")
    }

    fn over(mut stream: TcpStream, path: &str) -> Raw {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let head = Raw::handshake("").replacen("/ws/audio/stream/", path, 1);
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        Raw {
            stream,
            stream_sid: "MZ00112233445566778899aabbccddeeff".into(),
        }
    }

    /// The head of an upgrade request, with further lines.
    pub fn handshake(more: &str) -> String {
        format!(
            "GET /ws/audio/stream/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        )
    }

    /// A call with the live echo, up to its `start`.
    pub fn call(daemon: &Daemon, call_sid: &str) -> Raw {
        let token = daemon.token(call_sid);
        let mut raw = Raw::open(daemon);
        raw.text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#);
        raw.start(call_sid, &token);
        raw
    }

    pub fn start(&mut self, call_sid: &str, token: &str) {
        let text = self.start_text(call_sid, token);
        self.text(&text);
    }

    pub fn start_text(&self, call_sid: &str, token: &str) -> String {
        let sid = &self.stream_sid;
        format!(
            r#"{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"AC1","streamSid":"{sid}","callSid":"{call_sid}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{"token":"{token}"}}}},"streamSid":"{sid}"}}"#
        )
    }

    /// The caller hangs up, as the carrier says it.
    pub fn stop(&mut self) {
        let text = self.stop_text();
        self.text(&text);
    }

    pub fn stop_text(&self) -> String {
        format!(
            r#"{{"event":"stop","sequenceNumber":"9","stop":{{"accountSid":"AC1","callSid":"CA1"}},"streamSid":"{}"}}"#,
            self.stream_sid
        )
    }

    pub fn mark_text(&self, name: &str) -> String {
        format!(
            r#"{{"event":"mark","sequenceNumber":"4","streamSid":"{}","mark":{{"name":"{name}"}}}}"#,
            self.stream_sid
        )
    }

    pub fn dtmf_text(&self, digit: &str) -> String {
        format!(
            r#"{{"event":"dtmf","streamSid":"{}","sequenceNumber":"5","dtmf":{{"track":"inbound_track","digit":"{digit}"}}}}"#,
            self.stream_sid
        )
    }

    /// A media message with this payload, base64 or not.
    pub fn media(&mut self, number: u32, payload: &str) {
        let text = self.media_text(number, payload);
        self.text(&text);
    }

    pub fn media_text(&self, number: u32, payload: &str) -> String {
        format!(
            r#"{{"event":"media","sequenceNumber":"{}","media":{{"track":"inbound","chunk":"{number}","timestamp":"{}","payload":"{payload}"}},"streamSid":"{}"}}"#,
            number + 1,
            number * 20,
            self.stream_sid
        )
    }

    pub fn text(&mut self, text: &str) {
        self.frame(0x81, text.as_bytes());
    }

    /// A masked frame with this first byte. A daemon that has closed already is no error here.
    pub fn frame(&mut self, first: u8, payload: &[u8]) {
        self.bytes(&framed(first, payload));
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).ok();
    }

    /// The next frame: opcode and payload; `None` at the end of the stream.
    pub fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).ok()?;
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.stream.read_exact(&mut length).ok()?;
                usize::from(u16::from_be_bytes(length))
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).ok()?;
        Some((head[0] & 0x0F, payload))
    }

    /// Reads until media with exactly this payload comes back: the stream lives and echoes.
    #[track_caller]
    pub fn echoes(&mut self, number: u32, payload: &str) {
        self.media(number, payload);
        loop {
            let (opcode, bytes) = self.next().expect("the stream ended before the echo came");
            assert_ne!(opcode, 8, "closed instead of echoing: {bytes:?}");
            if String::from_utf8_lossy(&bytes).contains(payload) {
                return;
            }
        }
    }

    /// Returns when everything sent so far has been looked at and the stream still stands: a ping is answered in order.
    #[track_caller]
    pub fn settles(&mut self) {
        self.frame(0x89, b"settled?");
        loop {
            let (opcode, bytes) = self.next().expect("the stream ended before the pong came");
            assert_ne!(opcode, 8, "closed: {}", String::from_utf8_lossy(&bytes));
            if opcode == 0xA && bytes == b"settled?" {
                return;
            }
        }
    }

    /// Nothing more will be sent.
    pub fn end(&self) {
        self.stream.shutdown(Shutdown::Write).ok();
    }

    /// Reads to the end; the close code, if one was said.
    pub fn close_code(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some((opcode, payload)) = self.next() {
            if opcode == 8 && payload.len() >= 2 {
                code = Some(u16::from_be_bytes([payload[0], payload[1]]));
                self.frame(0x88, &payload);
            }
        }
        code
    }
}

/// A masked client frame.
pub fn framed(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short if short < 126 => bytes.push(0x80 | short as u8),
        middle if middle < 65536 => {
            bytes.push(0x80 | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

/// 160 samples, base64, told apart by a number.
pub fn frame_payload(number: u32) -> String {
    let samples: Vec<u8> = (0..160_u32)
        .map(|place| 0x80 | ((number + place) % 100) as u8)
        .collect();
    base64_simd::STANDARD.encode_to_string(samples)
}
