//! The time that sessions and delays go by: it starts with the wall clock and then runs evenly, so that a wall clock that
//! is set back lengthens no session. Tests bring their own.

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, as somebody counts them.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The system's time at this moment, and evenly from there.
    pub fn system() -> Clock {
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, ms);
        let start = Instant::now();
        Clock(Arc::new(move || wall.saturating_add(ms(start.elapsed()))))
    }

    /// Whatever this says.
    pub fn of(now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now_ms))
    }

    /// Unix ms.
    pub fn now_ms(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now_ms())
    }
}
