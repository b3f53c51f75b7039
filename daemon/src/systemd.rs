//! Words to the service manager, in systemd's protocol: ready, reloading, stopping, and that we are alive. Without one
//! (`NOTIFY_SOCKET` is not set) they are all silent.
//!
//! Not here: the judgement that we are alive, which is [`crate::daemon`]'s.

use sd_notify::NotifyState;
use std::time::Duration;
use tracing::warn;

/// Calls are answered. Also said when a reload has ended, well or not.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// A configuration is being read; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        // Newer managers would take it for a reload that never ends.
        Err(error) => {
            warn!("the service manager is not told of the reload: there is no clock ({error})")
        }
    }
}

/// No new calls from here on; the process may take this long to end.
pub fn stopping(longest: Duration) {
    // As text: the crate's own value ends at 71 minutes.
    let extend = format!("EXTEND_TIMEOUT_USEC={}", longest.as_micros());
    tell(&[NotifyState::Stopping, NotifyState::Custom(&extend)]);
}

/// The watchdog's food, with a line for `systemctl status`.
pub fn alive(line: &str) {
    tell(&[NotifyState::Watchdog, NotifyState::Status(line)]);
}

/// How long the service manager waits for [`alive`] before it restarts us; None if it does not.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())
}

fn tell(words: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(words) {
        warn!("the service manager could not be told {words:?}: {error}");
    }
}
