//! The public address a tunnel lends us: looked for twice a second, for the tunnel is another process that may come,
//! go and die as it likes. Used while the configuration names no address of its own.

use crate::config;
use crate::http::Desk;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// How often the file is looked for: one `open` that mostly finds nothing.
const LOOK_MS: u64 = 500;

/// Keeps the desk's borrowed address as the state folder says, for ever.
pub(super) async fn borrow_address(desk: Arc<Desk>, state: PathBuf) {
    let mut every = tokio::time::interval(Duration::from_millis(LOOK_MS));
    let mut said = String::new();
    loop {
        every.tick().await;
        let lent = match config::lent_url(&state) {
            Ok(lent) => {
                said.clear();
                lent
            }
            Err(why) => {
                // Once, not twice a second.
                if why != said {
                    warn!("no address is borrowed from a tunnel: {why}");
                    said = why;
                }
                None
            }
        };
        let before = desk.borrowed_url.load_full();
        if before.as_deref() == lent.as_ref() {
            continue;
        }
        match &lent {
            Some(url) => {
                info!(%url, "a tunnel is open: unless http.public_url is set, the carrier reaches us by its address")
            }
            None => info!("the tunnel is closed: its address is forgotten"),
        }
        desk.borrowed_url.store(lent.map(Arc::new));
    }
}
