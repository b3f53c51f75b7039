//! Rows into tables: how a batch is written, twice if need be, and how old rows leave. No thread and no file; it is given a
//! database.

use redb::{Database, ReadableTable, ReadableTableMetadata, WriteTransaction};
use tracing::error;

use super::account;
use super::fault::Fault;
use super::queue::{Batch, What};
use super::record::{CallChange, CallRecord, NewEvent, RUNNING, is_final};
use super::schema::{
    CALLS, CALLS_BY_SID, CALLS_BY_STATUS, EVENTS, EVENTS_BY_CALL, Ids, META, RESTARTED,
    RESTARTED_EVENT, next_id,
};

/// Rows that one prune removes before it lets others write: about 100 ms of work.
const PRUNE_ROWS: usize = 5000;

/// What a batch came to.
#[derive(Debug)]
pub(crate) struct Written {
    /// One per request, in order: the record as it is now, if there is one.
    pub(crate) answers: Vec<Option<CallRecord>>,
    pub(crate) ids: Ids,
    /// Calls and events in the tables.
    pub(crate) rows: u64,
    /// A prune stopped at its bound and wants to be asked again.
    pub(crate) prune_more: Option<u64>,
}

/// Writes a batch in one durable transaction. Doing it again after a failure of unknown outcome changes nothing more: events
/// get the same ids again, a call that is there already stays, a change repeated is the same change.
pub(crate) fn write(db: &Database, batch: &Batch, ids: Ids) -> Result<Written, Fault> {
    let txn = db.begin_write()?;
    let mut tables = Tables::open(&txn)?;
    let mut written = Written {
        answers: Vec::with_capacity(batch.control.len()),
        ids,
        rows: 0,
        prune_more: None,
    };
    for request in &batch.control {
        let answer = match &request.what {
            What::Open(new) => {
                if let Some(known) = tables.find(&new.call_sid)? {
                    // Perhaps by ourselves, in a commit that failed after it had reached the disk: its id is taken.
                    written.ids.next_call = written.ids.next_call.max(known.id + 1);
                    Some(known)
                } else {
                    let call = new.clone().into_record(written.ids.next_call);
                    written.ids.next_call += 1;
                    tables.put(&call, None)?;
                    Some(call)
                }
            }
            What::Change(sid, change) => tables.change(sid, change)?,
            What::Account(change) => {
                account::write(&txn, change)?;
                None
            }
            What::Prune(before_ms) => {
                if tables.prune(*before_ms, written.ids)? {
                    written.prune_more = Some(*before_ms);
                }
                None
            }
        };
        written.answers.push(answer);
    }
    for event in &batch.events {
        tables.add(written.ids.next_event, &event.call_sid, &event.json)?;
        written.ids.next_event += 1;
    }
    written.rows = tables.calls.len()? + tables.events.len()?;
    drop(tables);
    txn.commit()?;
    Ok(written)
}

/// All tables of one write transaction.
pub(crate) struct Tables<'txn> {
    meta: redb::Table<'txn, &'static str, u64>,
    calls: redb::Table<'txn, u64, &'static [u8]>,
    by_sid: redb::Table<'txn, &'static str, u64>,
    by_status: redb::Table<'txn, (&'static str, u64), ()>,
    events: redb::Table<'txn, u64, &'static [u8]>,
    by_call: redb::Table<'txn, (&'static str, u64), ()>,
}

impl<'txn> Tables<'txn> {
    pub(crate) fn open(txn: &'txn WriteTransaction) -> Result<Tables<'txn>, Fault> {
        Ok(Tables {
            meta: txn.open_table(META)?,
            calls: txn.open_table(CALLS)?,
            by_sid: txn.open_table(CALLS_BY_SID)?,
            by_status: txn.open_table(CALLS_BY_STATUS)?,
            events: txn.open_table(EVENTS)?,
            by_call: txn.open_table(EVENTS_BY_CALL)?,
        })
    }

    /// Whoever was to close them is dead.
    pub(crate) fn close_open_calls(&mut self, at_ms: u64) -> Result<(), Fault> {
        let mut next_event = next_id(&self.meta, "next_event", &self.events)?;
        let mut open = vec![];
        for status in RUNNING {
            for entry in self.by_status.range((status, 0)..=(status, u64::MAX))? {
                open.push(entry?.0.value().1);
            }
        }
        for id in open {
            let Some(call) = self.read(id)? else { continue };
            // It went on at least until then, and how much longer nobody knows.
            let last_ms = self.last_event_ms(&call.call_sid)?;
            let lasted_ms = last_ms.map(|last_ms| last_ms.saturating_sub(call.created_at_ms));
            let change = CallChange {
                status: Some("failed".to_owned()),
                duration_ms: lasted_ms,
                ended_reason: Some(RESTARTED.to_owned()),
                at_ms,
                ..CallChange::default()
            };
            self.change(&call.call_sid, &change)?;
            let event = NewEvent {
                at_ms,
                event: RESTARTED_EVENT.to_owned(),
                detail: serde_json::json!({ "status_before": call.status }),
                call_sid: call.call_sid,
                ..NewEvent::default()
            };
            self.add(next_event, &event.call_sid, &encode(&event)?)?;
            next_event += 1;
        }
        Ok(())
    }

    /// The time of the call's last event.
    fn last_event_ms(&self, sid: &str) -> Result<Option<u64>, Fault> {
        let last = self.by_call.range((sid, 0)..=(sid, u64::MAX))?.next_back();
        let Some(entry) = last else { return Ok(None) };
        let id = entry?.0.value().1;
        let Some(json) = self.events.get(id)? else {
            return Ok(None);
        };
        let event = decode::<NewEvent>(json.value(), "event", id);
        Ok(event.map(|event| event.at_ms))
    }

    fn read(&self, id: u64) -> Result<Option<CallRecord>, Fault> {
        let Some(json) = self.calls.get(id)? else {
            return Ok(None);
        };
        Ok(decode(json.value(), "call", id))
    }

    fn find(&self, sid: &str) -> Result<Option<CallRecord>, Fault> {
        let id = self.by_sid.get(sid)?.map(|id| id.value());
        id.map_or(Ok(None), |id| self.read(id))
    }

    /// `before` is the status it is listed under now.
    fn put(&mut self, call: &CallRecord, before: Option<&str>) -> Result<(), Fault> {
        if before != Some(call.status.as_str()) {
            if let Some(before) = before {
                self.by_status.remove((before, call.id))?;
            }
            self.by_status.insert((call.status.as_str(), call.id), ())?;
        }
        self.by_sid.insert(call.call_sid.as_str(), call.id)?;
        self.calls.insert(call.id, encode(call)?.as_slice())?;
        Ok(())
    }

    fn change(&mut self, sid: &str, change: &CallChange) -> Result<Option<CallRecord>, Fault> {
        let Some(mut call) = self.find(sid)? else {
            return Ok(None);
        };
        let before = call.status.clone();
        call.apply(change);
        self.put(&call, Some(&before))?;
        Ok(Some(call))
    }

    fn add(&mut self, id: u64, sid: &str, json: &[u8]) -> Result<(), Fault> {
        self.events.insert(id, json)?;
        if !sid.is_empty() {
            self.by_call.insert((sid, id), ())?;
        }
        Ok(())
    }

    /// Forgets finished calls and events from the old end, up to the first that is young enough. True if there may be more.
    fn prune(&mut self, before_ms: u64, next: Ids) -> Result<bool, Fault> {
        let mut old = vec![];
        for entry in self.events.iter()?.take(PRUNE_ROWS) {
            let (id, json) = entry?;
            match decode::<NewEvent>(json.value(), "event", id.value()) {
                Some(event) if event.at_ms >= before_ms => break,
                event => old.push((id.value(), event.map(|e| e.call_sid).unwrap_or_default())),
            }
        }
        let more = old.len() == PRUNE_ROWS;
        for (id, sid) in old {
            self.events.remove(id)?;
            self.by_call.remove((sid.as_str(), id))?;
        }
        let mut old = vec![];
        let mut seen = 0;
        for entry in self.calls.iter()?.take(PRUNE_ROWS) {
            let (id, json) = entry?;
            seen += 1;
            match decode::<CallRecord>(json.value(), "call", id.value()) {
                Some(call) if call.created_at_ms >= before_ms => break,
                Some(call) if is_final(&call.status) && call.updated_at_ms < before_ms => {
                    old.push(call)
                }
                _ => {}
            }
        }
        let more = more || (seen == PRUNE_ROWS && !old.is_empty());
        for call in old {
            self.calls.remove(call.id)?;
            self.by_sid.remove(call.call_sid.as_str())?;
            self.by_status.remove((call.status.as_str(), call.id))?;
        }
        self.meta.insert("next_call", next.next_call)?;
        self.meta.insert("next_event", next.next_event)?;
        Ok(more)
    }
}

/// A row as JSON. Only a map with keys that are not strings could fail, and no record has one.
pub(crate) fn encode<T: serde::Serialize>(row: &T) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(row).map_err(|error| Fault::Damaged(error.to_string()))
}

/// A row from JSON, or a line in the log: one row that a later version wrote differently must not hide the others.
pub(crate) fn decode<'a, T: serde::Deserialize<'a>>(
    json: &'a [u8],
    kind: &str,
    id: u64,
) -> Option<T> {
    serde_json::from_slice(json)
        .inspect_err(
            |reason| error!(kind, id, %reason, "a row of the store cannot be read; it is left out"),
        )
        .ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use redb::ReadableDatabase;
    use redb::backends::InMemoryBackend;

    use super::super::queue::{QueuedEvent, Request};
    use super::super::record::NewCall;
    use super::super::schema::{is_prepared, next_ids, prepare};
    use super::*;

    fn database() -> Database {
        Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap()
    }

    fn ready(db: &Database) -> Ids {
        assert!(!is_prepared(db).unwrap());
        prepare(db, Some(1)).unwrap();
        assert!(is_prepared(db).unwrap());
        next_ids(db).unwrap()
    }

    fn open(sid: &str) -> Request {
        let new = NewCall {
            call_sid: sid.into(),
            status: "ringing".into(),
            at_ms: 5,
            ..NewCall::default()
        };
        Request {
            what: What::Open(new),
            waiter: None,
        }
    }

    fn change(sid: &str, status: &str) -> Request {
        let change = CallChange {
            status: Some(status.into()),
            at_ms: 6,
            ..CallChange::default()
        };
        Request {
            what: What::Change(sid.into(), change),
            waiter: None,
        }
    }

    fn prune(before_ms: u64) -> Request {
        Request {
            what: What::Prune(before_ms),
            waiter: None,
        }
    }

    fn event(sid: &str, at_ms: u64) -> QueuedEvent {
        let event = NewEvent {
            at_ms,
            call_sid: sid.into(),
            ..NewEvent::default()
        };
        QueuedEvent {
            call_sid: sid.into(),
            json: encode(&event).unwrap(),
        }
    }

    /// Every row of every table but `meta`, as text.
    fn picture(db: &Database) -> Vec<String> {
        let txn = db.begin_read().unwrap();
        let mut rows = vec![];
        for table in [CALLS, EVENTS] {
            let table = txn.open_table(table).unwrap();
            for (key, value) in table.iter().unwrap().map(Result::unwrap) {
                rows.push(format!(
                    "{} {}",
                    key.value(),
                    String::from_utf8_lossy(value.value())
                ));
            }
        }
        for table in [CALLS_BY_STATUS, EVENTS_BY_CALL] {
            let table = txn.open_table(table).unwrap();
            rows.extend(
                table
                    .iter()
                    .unwrap()
                    .map(|row| format!("{:?}", row.unwrap().0.value())),
            );
        }
        let by_sid = txn.open_table(CALLS_BY_SID).unwrap();
        rows.extend(
            by_sid
                .iter()
                .unwrap()
                .map(Result::unwrap)
                .map(|(k, v)| format!("{} {}", k.value(), v.value())),
        );
        rows
    }

    #[test]
    fn writing_a_batch_twice_is_writing_it_once() {
        let db = database();
        let ids = ready(&db);
        let batch = Batch {
            control: vec![
                open("CA1"),
                open("CA2"),
                open("CA1"),
                change("CA1", "in-progress"),
                change("CA1", "completed"),
            ],
            events: vec![event("CA1", 7), event("", 8)],
        };
        let first = write(&db, &batch, ids).unwrap();
        let before = picture(&db);
        let again = write(&db, &batch, ids).unwrap();
        assert_eq!(picture(&db), before);
        assert_eq!((first.rows, again.rows), (4, 4));
        assert_eq!(first.ids.next_event, again.ids.next_event);
        assert_eq!(first.ids.next_call, 3);
    }

    #[test]
    fn a_call_that_reached_the_disk_in_a_failed_commit_keeps_its_id_for_itself() {
        let db = database();
        let before = ready(&db);
        let mut batch = Batch {
            control: vec![open("CA1")],
            events: vec![],
        };
        write(&db, &batch, before).unwrap();
        batch.control.push(open("CA2"));
        let written = write(&db, &batch, before).unwrap();
        let ids: Vec<_> = written
            .answers
            .into_iter()
            .flatten()
            .map(|call| call.id)
            .collect();
        assert_eq!(
            (ids, written.ids.next_call, written.rows),
            (vec![1, 2], 3, 2)
        );
    }

    #[test]
    fn a_call_is_listed_under_one_status_only() {
        let db = database();
        let ids = ready(&db);
        let control = vec![
            open("CA1"),
            change("CA1", "in-progress"),
            change("CA1", "busy"),
        ];
        write(
            &db,
            &Batch {
                control,
                events: vec![],
            },
            ids,
        )
        .unwrap();
        let txn = db.begin_read().unwrap();
        let listed = txn.open_table(CALLS_BY_STATUS).unwrap();
        let listed: Vec<_> = listed
            .iter()
            .unwrap()
            .map(|row| format!("{:?}", row.unwrap().0.value()))
            .collect();
        assert_eq!(listed, [r#"("busy", 1)"#]);
    }

    #[test]
    fn pruning_forgets_the_old_end_but_no_running_call_and_no_id() {
        let db = database();
        let ids = ready(&db);
        let control = vec![open("CA1"), open("CA2"), change("CA2", "completed")];
        let batch = Batch {
            control,
            events: vec![event("CA1", 5), event("CA2", 6)],
        };
        let ids = write(&db, &batch, ids).unwrap().ids;
        let pruned = write(
            &db,
            &Batch {
                control: vec![prune(100)],
                events: vec![],
            },
            ids,
        )
        .unwrap();
        assert_eq!((pruned.rows, pruned.prune_more), (1, None));
        assert_eq!(
            picture(&db).len(),
            3,
            "one call, its status and its name: {:?}",
            picture(&db)
        );
        assert_eq!(next_ids(&db).unwrap(), ids);
    }

    #[test]
    fn a_long_prune_comes_in_pieces() {
        let db = database();
        let mut ids = ready(&db);
        let events = (0..PRUNE_ROWS as u64 + 10)
            .map(|n| event("CA1", n))
            .collect();
        ids = write(
            &db,
            &Batch {
                control: vec![],
                events,
            },
            ids,
        )
        .unwrap()
        .ids;
        let pieces: Vec<_> = (0..2)
            .map(|_| {
                write(
                    &db,
                    &Batch {
                        control: vec![prune(PRUNE_ROWS as u64 + 5)],
                        events: vec![],
                    },
                    ids,
                )
                .unwrap()
            })
            .map(|written| (written.rows, written.prune_more.is_some()))
            .collect();
        assert_eq!(pieces, [(10, true), (5, false)]);
    }
}
