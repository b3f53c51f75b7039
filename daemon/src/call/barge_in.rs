//! The caller speaks while the agent does: whether that takes the floor.

use super::machine::Call;
use super::time::CallTime;

impl Call {
    /// Words came for speech that does not have the floor.
    pub(super) fn words_came(&mut self, _now: CallTime) {}
}
