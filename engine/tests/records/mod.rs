//! A record of an embedded log, changed where nothing of ours changes it.

use std::path::Path;

use fjall::{Database, KeyspaceCreateOptions, PersistMode};

/// Changes the bytes of a record of a log that has one partition and is not open. They begin with a mark of four bytes
/// and the version of the schema, in two.
pub(crate) fn change(log: &Path, offset: u64, change: impl FnOnce(&mut [u8])) {
    let (database, key) = (Database::builder(log).open().unwrap(), offset.to_be_bytes());
    let days = database.list_keyspace_names().into_iter().filter(|name| name.starts_with("p0-"));
    let days = days.map(|name| database.keyspace(&name, KeyspaceCreateOptions::default).unwrap());
    let mut held = days.filter_map(|day| day.get(key).unwrap().map(|record| (day, record.to_vec())));
    let (day, mut record) = held.next().unwrap();
    change(&mut record);
    day.insert(key, record).unwrap();
    database.persist(PersistMode::SyncAll).unwrap();
}
