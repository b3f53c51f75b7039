//! What a daemon left in its store, in the rows its API would show: for the command line, while none runs.

use crate::http::{call_row, event_row};
use crate::store::{CallQuery, EventQuery, Left, LeftError};
use serde_json::Value;
use std::path::Path;

/// The store of a daemon that does not run.
#[derive(Debug)]
pub struct LeftBehind(Left);

impl LeftBehind {
    /// Opens the store in this folder for reading; nothing in it is changed.
    ///
    /// # Errors
    /// There is none, it cannot be read, or a daemon holds it.
    pub fn open(folder: &Path) -> Result<LeftBehind, LeftError> {
        Left::open(folder).map(LeftBehind)
    }

    /// The file.
    pub fn file(&self) -> &Path {
        self.0.file()
    }

    /// The newest calls first, `limit` at most: only those in this status, if one is given.
    ///
    /// # Errors
    /// The store is damaged.
    pub fn calls(&self, status: Option<&str>, limit: usize) -> Result<Vec<Value>, LeftError> {
        let query = CallQuery {
            status: status.map(str::to_owned),
            limit,
            ..CallQuery::default()
        };
        Ok(self.0.calls(&query)?.rows.iter().map(call_row).collect())
    }

    /// The newest events first, `limit` at most: only those of this name and of this call, if given.
    ///
    /// # Errors
    /// The store is damaged.
    pub fn events(
        &self,
        event: Option<&str>,
        call: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Value>, LeftError> {
        let query = EventQuery {
            event: event.map(str::to_owned),
            call_sid: call.map(str::to_owned),
            limit,
            ..EventQuery::default()
        };
        Ok(self.0.events(&query)?.rows.iter().map(event_row).collect())
    }
}
