//! The reference: the least a server on fastwebsockets can do and still echo. One thread; per connection one task that
//! reads a text message, has serde_json read it into a borrowed struct, decodes the payload, encodes it again and
//! writes a `media` message. No signature, no token, no turns, no plugin, no store.
//!
//! HTTP is answered by hand, once per connection and outside the time that is measured.

use base64_simd::{AsOut, STANDARD};
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket};
use serde::Deserialize;
use sha1::{Digest, Sha1};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// RFC 6455 §1.3: what the key is hashed with.
const WEBSOCKET_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request of the load generator is far shorter; a longer one is refused.
const REQUEST_BYTES: usize = 8 << 10;

/// A second of sound; the generator sends 20 ms.
const SAMPLES: usize = 8000;

#[derive(Deserialize)]
struct Message<'a> {
    event: &'a str,
    #[serde(borrow, rename = "streamSid")]
    stream_sid: Option<&'a str>,
    #[serde(borrow)]
    media: Option<Media<'a>>,
}

#[derive(Deserialize)]
struct Media<'a> {
    payload: &'a str,
}

/// Serves on `address` until the process is ended.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            // A broken connection is the generator's to notice: its frames are missing.
            tokio::spawn(async move { drop(connection(stream, address).await) });
        }
    })
}

async fn connection(mut stream: TcpStream, address: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let head = loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8_lossy(&request[..end]).into_owned();
        }
        if request.len() > REQUEST_BYTES || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    };
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        lines
            .into_iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    };
    let Some(key) = header("sec-websocket-key") else {
        let length = header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        while request.len() < head.len() + 4 + length {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let twiml = format!(
            r#"<Response><Connect><Stream url="ws://{address}/stream"><Parameter name="token" value="none"/></Stream></Connect></Response>"#
        );
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{twiml}",
            twiml.len()
        );
        return stream.write_all(answer.as_bytes()).await;
    };
    let hash = Sha1::new()
        .chain_update(key)
        .chain_update(WEBSOCKET_GUID)
        .finalize();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        STANDARD.encode_to_string(hash)
    );
    stream.write_all(answer.as_bytes()).await?;
    echo(WebSocket::after_handshake(stream, Role::Server))
        .await
        .map_err(io::Error::other)
}

async fn echo(mut websocket: WebSocket<TcpStream>) -> Result<(), fastwebsockets::WebSocketError> {
    let (mut samples, mut out) = (vec![0; SAMPLES], Vec::new());
    loop {
        let frame = websocket.read_frame().await?;
        match frame.opcode {
            OpCode::Text if answer(&frame.payload, &mut samples, &mut out) => {
                drop(frame);
                websocket
                    .write_frame(Frame::text(Payload::Borrowed(&out)))
                    .await?;
            }
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}

/// The echo of one message in `out`; false if it has none.
fn answer(text: &[u8], samples: &mut [u8], out: &mut Vec<u8>) -> bool {
    let Ok(message) = serde_json::from_slice::<Message<'_>>(text) else {
        return false;
    };
    let (Some(stream_sid), Some(media)) = (message.stream_sid, message.media) else {
        return false;
    };
    let payload = media.payload.as_bytes();
    let length = STANDARD.decoded_length(payload).unwrap_or(usize::MAX);
    if message.event != "media" || length > samples.len() {
        return false;
    }
    let Ok(samples) = STANDARD.decode(payload, samples[..length].as_out()) else {
        return false;
    };
    out.clear();
    out.extend_from_slice(br#"{"event":"media","streamSid":""#);
    out.extend_from_slice(stream_sid.as_bytes());
    out.extend_from_slice(br#"","media":{"payload":""#);
    STANDARD.encode_append(samples, out);
    out.extend_from_slice(br#""}}"#);
    true
}
