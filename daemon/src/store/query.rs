//! Reading: lists of calls and events, newest first, by keyset cursor. A read transaction is opened, the page copied out, and the
//! transaction dropped; a long-lived one would pin pages of the file.
//!
//! A cursor is the id of the last row seen, so rows that arrive between two pages shift nothing: no gap and no repetition.

use std::borrow::Cow;

use redb::{Database, ReadableDatabase};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::record::{CallRecord, Event, NewEvent, name};
use super::schema::{CALLS, CALLS_BY_SID, CALLS_BY_STATUS, EVENTS, EVENTS_BY_CALL};
use super::table::decode;

/// Most rows on a page, whatever is asked for: some 8 MB of the longest texts.
pub const MAX_PAGE_ROWS: usize = 1000;
/// Most rows looked at for one page that is filtered by more than an index; about 50 ms for events. The page may then be short, and its cursor goes on.
pub const MAX_SCAN_ROWS: usize = 50_000;

/// Which calls, and how many.
#[derive(Clone, Debug, Default)]
pub struct CallQuery {
    /// Only calls with this status.
    pub status: Option<String>,
    /// Only calls whose name or one of whose numbers has this in it; upper and lower case are the same.
    pub search: Option<String>,
    /// Only calls opened at this time or later, unix ms.
    pub from_ms: Option<u64>,
    /// Only calls opened before this time, unix ms.
    pub until_ms: Option<u64>,
    /// Only calls with a smaller id: the cursor.
    pub before: Option<u64>,
    /// Rows wanted, 1 to [`MAX_PAGE_ROWS`]; what lies outside is moved inside.
    pub limit: usize,
}

impl CallQuery {
    /// Whether this call is asked for, its status apart: for that there is an index.
    fn wants(&self, call: &CallRecord, search: Option<&str>) -> bool {
        let found = |search: &str| {
            [&call.call_sid, &call.from_number, &call.to_number]
                .iter()
                .any(|text| text.to_ascii_lowercase().contains(search))
        };
        search.is_none_or(found)
            && self.from_ms.is_none_or(|from| call.created_at_ms >= from)
            && self.until_ms.is_none_or(|until| call.created_at_ms < until)
    }
}

/// Which events, and how many.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Only events of this name.
    pub event: Option<String>,
    /// Only events of one of these names; none here: of any.
    pub among: Vec<String>,
    /// Only events with this in their text, their name or their call's; upper and lower case are the same.
    pub text: Option<String>,
    /// Only events of this time or later, unix ms.
    pub from_ms: Option<u64>,
    /// Only events before this time, unix ms.
    pub until_ms: Option<u64>,
    /// Only events of this call.
    pub call_sid: Option<String>,
    /// Only events with a smaller id: the cursor.
    pub before: Option<u64>,
    /// Only events with a larger id. Without `before`, the page holds the *oldest* of these, still newest first, so whoever
    /// follows the log with the newest id seen misses nothing, however fast it grows.
    pub after: Option<u64>,
    /// Rows wanted, 1 to [`MAX_PAGE_ROWS`]; what lies outside is moved inside.
    pub limit: usize,
}

impl EventQuery {
    /// Whether an event is asked for, its name apart.
    fn wants(&self, event: &NewEvent, text: Option<&str>) -> bool {
        let found = |text: &str| {
            [&event.text, &event.event, &event.call_sid]
                .iter()
                .any(|field| field.to_lowercase().contains(text))
        };
        text.is_none_or(found)
            && self.from_ms.is_none_or(|from| event.at_ms >= from)
            && self.until_ms.is_none_or(|until| event.at_ms < until)
    }

    fn wants_named(&self, event: &str) -> bool {
        self.event
            .as_deref()
            .is_none_or(|wanted| name(wanted) == event)
            && (self.among.is_empty() || self.among.iter().any(|one| one == event))
    }
}

/// A page, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where to go on: the next `before`, or the next `after` in a query with `after` alone. `None` at the end.
    pub next: Option<u64>,
}

fn bounded(limit: usize) -> usize {
    limit.clamp(1, MAX_PAGE_ROWS)
}

/// Takes rows from `ids`, in the order walked, until the page is full or too many were looked at.
fn page<T>(
    ids: impl Iterator<Item = Result<u64, redb::StorageError>>,
    limit: usize,
    mut read: impl FnMut(u64) -> Result<Option<T>, Fault>,
) -> Result<Page<T>, Fault> {
    let mut page = Page {
        rows: vec![],
        next: None,
    };
    let mut last = None;
    for (looked_at, id) in ids.enumerate() {
        let id = id?;
        if page.rows.len() == limit || looked_at == MAX_SCAN_ROWS {
            page.next = last;
            break;
        }
        page.rows.extend(read(id)?);
        last = Some(id);
    }
    Ok(page)
}

/// The name of an event, borrowed from its row where it can be.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    event: Cow<'a, str>,
}

pub(crate) fn calls(db: &Database, query: &CallQuery) -> Result<Page<CallRecord>, Fault> {
    let txn = db.begin_read()?;
    let calls = txn.open_table(CALLS)?;
    let search = query.search.as_ref().map(|text| text.to_ascii_lowercase());
    let read = |id| {
        let call = calls
            .get(id)?
            .and_then(|json| decode::<CallRecord>(json.value(), "call", id));
        Ok(call.filter(|call| query.wants(call, search.as_deref())))
    };
    let before = query.before.unwrap_or(u64::MAX);
    let limit = bounded(query.limit);
    if let Some(status) = &query.status {
        let listed = txn.open_table(CALLS_BY_STATUS)?;
        let range = listed.range((status.as_str(), 0)..(status.as_str(), before))?;
        page(
            range.rev().map(|row| row.map(|(key, _)| key.value().1)),
            limit,
            read,
        )
    } else {
        let range = calls.range(..before)?;
        page(
            range.rev().map(|row| row.map(|(id, _)| id.value())),
            limit,
            read,
        )
    }
}

pub(crate) fn call(db: &Database, sid: &str) -> Result<Option<CallRecord>, Fault> {
    let txn = db.begin_read()?;
    let id = txn
        .open_table(CALLS_BY_SID)?
        .get(name(sid).as_str())?
        .map(|id| id.value());
    let Some(id) = id else { return Ok(None) };
    let json = txn.open_table(CALLS)?.get(id)?;
    Ok(json.and_then(|json| decode(json.value(), "call", id)))
}

pub(crate) fn events(db: &Database, query: &EventQuery) -> Result<Page<Event>, Fault> {
    let txn = db.begin_read()?;
    let events = txn.open_table(EVENTS)?;
    let by_name = query.event.is_some() || !query.among.is_empty();
    let text = query.text.as_deref().map(str::to_lowercase);
    let read = |id| {
        let Some(json) = events.get(id)? else {
            return Ok(None);
        };
        // Most rows of a filtered page are not on it, and their names alone are quicker to read than the whole.
        if by_name
            && decode::<Named<'_>>(json.value(), "event", id)
                .is_none_or(|row| !query.wants_named(&row.event))
        {
            return Ok(None);
        }
        let event = decode::<NewEvent>(json.value(), "event", id);
        let event = event.filter(|event| query.wants(event, text.as_deref()));
        Ok(event.map(|event| event.into_event(id)))
    };
    let from = query.after.map_or(0, |after| after.saturating_add(1));
    // An empty range where it would be a backward one.
    let until = query.before.unwrap_or(u64::MAX).max(from);
    let limit = bounded(query.limit);
    let follow = query.after.is_some() && query.before.is_none();
    let mut page = if let Some(sid) = query.call_sid.as_deref().map(name) {
        let listed = txn.open_table(EVENTS_BY_CALL)?;
        let range = listed.range((sid.as_str(), from)..(sid.as_str(), until))?;
        let ids = range.map(|row| row.map(|(key, _)| key.value().1));
        if follow {
            page(ids, limit, read)?
        } else {
            page(ids.rev(), limit, read)?
        }
    } else {
        let ids = events
            .range(from..until)?
            .map(|row| row.map(|(id, _)| id.value()));
        if follow {
            page(ids, limit, read)?
        } else {
            page(ids.rev(), limit, read)?
        }
    };
    if follow {
        page.rows.reverse();
    }
    Ok(page)
}
