//! A bare wire: a socket pair on this machine with nothing in between, read where the phones are read. What it costs is
//! the kernel's and the bench's own share in every figure beside it.

use super::figures::{histogram, micros};
use hdrhistogram::Histogram;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// It is tried this often.
const EVERY_MS: u64 = 5;

/// A socket to a thread that writes the time into it, until it is enough.
pub(crate) async fn bare(enough: Arc<AtomicBool>) -> io::Result<Histogram<u64>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let zero = Instant::now();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        // Ends when the other side has had enough.
        drop(runtime.block_on(write_times(address, zero)));
    });
    let (mut stream, _) = listener.accept().await?;
    let mut times = histogram();
    while !enough.load(Ordering::Relaxed) {
        let mut sent = [0; 8];
        stream.read_exact(&mut sent).await?;
        times.saturating_record(micros(zero.elapsed()).saturating_sub(u64::from_le_bytes(sent)));
    }
    Ok(times)
}

async fn write_times(to: SocketAddr, zero: Instant) -> io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut every = tokio::time::interval(Duration::from_millis(EVERY_MS));
    loop {
        every.tick().await;
        let now = micros(zero.elapsed());
        stream.write_all(&now.to_le_bytes()).await?;
    }
}
