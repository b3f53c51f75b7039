//! The tables: their names and types, the schema's version and its upgrades, and what a start makes of a file.
//!
//! ```text
//! meta             name → number          schema, next_call, next_event
//! calls            id → JSON
//! calls_by_sid     sid → id
//! calls_by_status  (status, id) → ()
//! events           id → JSON without the id
//! events_by_call   (sid, id) → ()
//! ```
//!
//! The tables of accounts are in `account.rs`.
//!
//! Values are JSON: a new field needs no upgrade, and a file can be rescued with common tools. No `Option` in keys or values:
//! redb 5 changes how some of those are encoded.

use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, TableHandle,
    WriteTransaction,
};

use super::account;
use super::fault::Fault;
use super::table::Tables;

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(crate) const CALLS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("calls");
pub(crate) const CALLS_BY_SID: TableDefinition<'_, &str, u64> =
    TableDefinition::new("calls_by_sid");
pub(crate) const CALLS_BY_STATUS: TableDefinition<'_, (&str, u64), ()> =
    TableDefinition::new("calls_by_status");
pub(crate) const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
pub(crate) const EVENTS_BY_CALL: TableDefinition<'_, (&str, u64), ()> =
    TableDefinition::new("events_by_call");

/// Brings the tables from one schema version to the next. The first one here would make version 2 of version 1.
type Upgrade = fn(&WriteTransaction) -> Result<(), redb::Error>;
/// 2: accounts, sessions, tokens. A build that knows none would answer where this one asks for a sign-in.
const UPGRADES: [Upgrade; 1] = [account::make_tables];

/// `ended_reason` of the calls that a daemon left open when it died.
pub const RESTARTED: &str = "daemon_restarted";
/// Name of the event written for each call that was closed at the start.
pub const RESTARTED_EVENT: &str = "daemon_restarted";
/// Name of the event written into the new database after a damaged one was set aside.
pub const DAMAGED_EVENT: &str = "store_damaged";

/// The ids that come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) next_call: u64,
    pub(crate) next_event: u64,
}

/// Checks the schema, upgrades it, makes missing tables, and closes the calls that a daemon left open when it died.
/// `restarted_ms` is the time of this start, or `None` when the daemon goes on and its open calls are alive.
pub(crate) fn prepare(db: &Database, restarted_ms: Option<u64>) -> Result<(), Fault> {
    prepare_with(db, restarted_ms, &UPGRADES)
}

fn prepare_with(
    db: &Database,
    restarted_ms: Option<u64>,
    upgrades: &[Upgrade],
) -> Result<(), Fault> {
    let known = upgrades.len() as u64 + 1;
    let txn = db.begin_write()?;
    let ours = txn.list_tables()?.any(|table| table.name() == META.name());
    let foreign = !ours && txn.list_tables()?.next().is_some();
    if foreign {
        return Err(Fault::Foreign);
    }
    {
        let mut meta = txn.open_table(META)?;
        let found = meta.get("schema")?.map(|version| version.value());
        let found = match found {
            None if ours => return Err(Fault::Foreign),
            None => known,
            Some(found) if found > known || found == 0 => {
                return Err(Fault::Newer { found, known });
            }
            Some(found) => found,
        };
        for step in upgrades
            .iter()
            .skip(usize::try_from(found - 1).unwrap_or(usize::MAX))
        {
            step(&txn)?;
        }
        meta.insert("schema", known)?;
    }
    account::make_tables(&txn)?;
    let mut tables = Tables::open(&txn)?;
    if let Some(at_ms) = restarted_ms {
        tables.close_open_calls(at_ms)?;
    }
    drop(tables);
    txn.commit()?;
    Ok(())
}

/// Whether [`prepare`] has been here. Asking writes nothing, so it works on a full disk.
pub(crate) fn is_prepared(db: &Database) -> Result<bool, Fault> {
    let txn = db.begin_read()?;
    Ok(txn.list_tables()?.any(|table| table.name() == META.name()))
}

/// The ids that come next in a prepared database.
pub(crate) fn next_ids(db: &Database) -> Result<Ids, Fault> {
    let txn = db.begin_read()?;
    let meta = txn.open_table(META)?;
    Ok(Ids {
        next_call: next_id(&meta, "next_call", &txn.open_table(CALLS)?)?,
        next_event: next_id(&meta, "next_event", &txn.open_table(EVENTS)?)?,
    })
}

/// One above the last id in use. Pruning may have taken the last one, so `meta` has a say too.
pub(crate) fn next_id(
    meta: &impl ReadableTable<&'static str, u64>,
    key: &str,
    rows: &impl ReadableTable<u64, &'static [u8]>,
) -> Result<u64, Fault> {
    let above = rows
        .last()?
        .map_or(1, |(id, _)| id.value().saturating_add(1));
    Ok(above.max(meta.get(key)?.map_or(1, |id| id.value())))
}

/// Calls and events in the tables.
pub(crate) fn rows(db: &Database) -> Result<u64, Fault> {
    let txn = db.begin_read()?;
    Ok(txn.open_table(CALLS)?.len()? + txn.open_table(EVENTS)?.len()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    fn database() -> Database {
        Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap()
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let db = database();
        prepare(&db, None).unwrap();
        let txn = db.begin_write().unwrap();
        txn.open_table(META).unwrap().insert("schema", 9).unwrap();
        txn.commit().unwrap();
        assert!(matches!(
            prepare(&db, Some(1)),
            Err(Fault::Newer { found: 9, known: 2 })
        ));
        let version = db
            .begin_read()
            .unwrap()
            .open_table(META)
            .unwrap()
            .get("schema")
            .unwrap()
            .unwrap()
            .value();
        assert_eq!(version, 9);
    }

    #[test]
    fn an_older_schema_takes_each_missing_step_once() {
        fn step(txn: &WriteTransaction, name: &str) -> Result<(), redb::Error> {
            let table: TableDefinition<'_, &str, u64> = TableDefinition::new("steps");
            let mut steps = txn.open_table(table)?;
            let so_far = steps.get(name)?.map_or(0, |n| n.value());
            steps.insert(name, so_far + 1)?;
            Ok(())
        }
        let upgrades: [Upgrade; 2] = [|txn| step(txn, "to 2"), |txn| step(txn, "to 3")];
        let db = database();
        for known in [1, 2, 3, 3] {
            prepare_with(&db, None, &upgrades[..known - 1]).unwrap();
        }
        let steps: TableDefinition<'_, &str, u64> = TableDefinition::new("steps");
        let steps = db.begin_read().unwrap().open_table(steps).unwrap();
        let taken: Vec<_> = steps
            .iter()
            .unwrap()
            .map(Result::unwrap)
            .map(|(k, v)| (k.value().to_owned(), v.value()))
            .collect();
        assert_eq!(taken, [("to 2".to_owned(), 1), ("to 3".to_owned(), 1)]);
    }

    #[test]
    fn somebody_elses_database_is_refused() {
        let db = database();
        let txn = db.begin_write().unwrap();
        txn.open_table(TableDefinition::<u64, u64>::new("sessions"))
            .unwrap();
        txn.commit().unwrap();
        assert!(matches!(prepare(&db, Some(1)), Err(Fault::Foreign)));
    }
}
