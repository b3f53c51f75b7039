//! Feeds the service manager's watchdog, as long as there is a reason to: every media thread has been round its loop since
//! the last time, and this task, on the control side, gets to run.
//!
//! A plugin that never comes back from a call silences every line of its media thread, and nothing in this process can
//! free the thread again. Then nothing is fed, and the manager starts us anew.

use crate::http::Desk;
use crate::systemd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info};

/// Meals within the manager's patience. Two would do, says its manual; with three one may come late.
const MEALS: u32 = 3;

/// Starts feeding if somebody waits for it.
pub(super) fn start(desk: &Arc<Desk>) -> Option<JoinHandle<()>> {
    let patience = systemd::watchdog()?;
    info!(
        restart_ms = patience.as_millis(),
        "the service manager watches; it is fed while every media thread goes round"
    );
    Some(tokio::spawn(feed(Arc::clone(desk), patience / MEALS)))
}

async fn feed(desk: Arc<Desk>, every: Duration) {
    let mut meals = interval(every);
    meals.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        meals.tick().await;
        let mut answer = pin!(desk.media.answer());
        let all = loop {
            match timeout(every, answer.as_mut()).await {
                Ok(all) => break all,
                Err(_) => error!(
                    "a media thread does not come back, its calls are silent: the watchdog is not fed, so that the service \
                     manager restarts the daemon"
                ),
            }
        };
        if all {
            systemd::alive(&format!("{} calls", desk.house.admission.present()));
        } else {
            error!(
                "a media thread has ended by itself: the watchdog is not fed, so that the service manager restarts the daemon"
            );
        }
    }
}
