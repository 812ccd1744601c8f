//! The rows that have left the overlay: sled, behind a wall. It is a cache that can be made anew at any time, so
//! every failure of it, a panic included, ends here and only takes it out of service.
//!
//! A stored value is `version u64 | CRC-32C of key, version and value u32 | value`.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use bytes::Bytes;

use super::codec::{Fields, Seal};
use super::locks::{read, write};
use super::overlay::Cell;
use super::shared::Bell;
use crate::store::Order;

/// Rows written to sled in one go: larger batches keep 1.6 KB of memory per row.
pub(super) const BATCH_ROWS: usize = 100;

/// Where sled keeps what it holds; in no caller's space.
const INNER_KEY: &[u8] = b"\0checkpoint";

/// What the names of instances' folders begin with.
const INSTANCE: &str = "rows-";

/// Bytes before a stored value.
const PREFIX: usize = 12;

/// Why sled is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct RowsFailure(pub(super) String);

/// What a checkpoint writes: key, version, value (`None` = the row is gone).
pub(super) type RowChange<'a> = (&'a [u8], u64, Option<&'a [u8]>);

/// sled, while it works.
#[derive(Debug)]
pub(super) struct Rows {
    /// Folders of instances, one of which is in use.
    folder: PathBuf,
    cache_bytes: u64,
    /// Rung when sled fails: the keeper makes it anew.
    bell: Arc<Bell>,
    state: RwLock<State>,
}

#[derive(Debug)]
enum State {
    /// There are no rows and no instance: a young folder needs no sled.
    Empty,
    Ready(Instance),
    Failed(RowsFailure),
}

/// One sled.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    tree: sled::Db,
    folder: PathBuf,
}

impl Instance {
    /// Writes rows, at most [`BATCH_ROWS`] of them.
    pub(super) fn write(&self, changes: &[RowChange<'_>]) -> Result<(), RowsFailure> {
        debug_assert!(changes.len() <= BATCH_ROWS, "batches are bounded");
        let mut batch = sled::Batch::default();
        for (key, version, value) in changes {
            match value {
                None => batch.remove(*key),
                Some(value) => batch.insert(*key, pack(key, *version, value)),
            }
        }
        guarded(|| self.tree.apply_batch(batch))
    }

    /// Notes inside sled that it holds everything up to `frame`, and makes it all durable: sled's own flush is no
    /// barrier against a power cut, so its files and folders are synced here.
    pub(super) fn settle(&self, frame: u64) -> Result<(), RowsFailure> {
        guarded(|| {
            self.tree.insert(INNER_KEY, &frame.to_be_bytes())?;
            self.tree.flush()
        })?;
        let parent = self.folder.parent().unwrap_or(&self.folder);
        let synced = sync_tree(&self.folder).and_then(|()| File::open(parent)?.sync_all());
        let place = self.folder.display();
        synced.map_err(|error| RowsFailure(format!("sync of {place}: {error}")))
    }
}

impl Rows {
    /// No rows; an instance that holds some may be opened in `folder`.
    pub(super) fn new(folder: PathBuf, cache_bytes: u64, bell: Arc<Bell>) -> Self {
        Self {
            folder,
            cache_bytes,
            bell,
            state: RwLock::new(State::Empty),
        }
    }

    /// Whether there are no rows and no instance.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&*read(&self.state), State::Empty)
    }

    fn instance(&self, id: u64) -> PathBuf {
        self.folder.join(format!("{INSTANCE}{id:016x}"))
    }

    /// The greatest number of an instance whose folder is there; 0 when there is none.
    pub(super) fn greatest_instance(&self) -> u64 {
        let number =
            |entry: io::Result<std::fs::DirEntry>| instance_number(&entry.ok()?.file_name());
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        entries.filter_map(number).max().unwrap_or(0)
    }

    /// Has no rows and no instance.
    pub(super) fn forget(&self) {
        *write(&self.state) = State::Empty;
    }

    /// Opens an existing instance and tells which checkpoint it says it holds.
    pub(super) fn open(&self, id: u64) -> Result<Option<u64>, RowsFailure> {
        let folder = self.instance(id);
        if !folder.is_dir() {
            return Err(RowsFailure(format!("no folder {}", folder.display())));
        }
        let instance = self.start(folder)?;
        let inner = guarded(|| instance.tree.get(INNER_KEY))?;
        self.publish(instance);
        Ok(inner.and_then(|inner| Fields(&inner).u64()))
    }

    /// Makes a new, empty instance and removes all others. Nobody reads from it before it is published: where there
    /// were no rows there are none until then, else readers are refused.
    pub(super) fn create(&self, id: u64) -> Result<Instance, RowsFailure> {
        if !self.is_empty() {
            // The old instance is let go first: it may hold much memory.
            *write(&self.state) = State::Failed(RowsFailure("being made anew".to_owned()));
        }
        let failed = |error: io::Error| RowsFailure(error.to_string());
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if instance_number(&entry.file_name()).is_none() {
                continue;
            }
            if let Err(error) = std::fs::remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %error, "old row cache could not be removed");
            }
        }
        self.start(self.instance(id))
    }

    /// Lets everybody read from an instance that holds all it should.
    pub(super) fn publish(&self, instance: Instance) {
        *write(&self.state) = State::Ready(instance);
    }

    fn start(&self, folder: PathBuf) -> Result<Instance, RowsFailure> {
        let config = sled::Config::new()
            .path(&folder)
            .cache_capacity(self.cache_bytes)
            .flush_every_ms(None);
        let tree = guarded(|| config.open())?;
        Ok(Instance { tree, folder })
    }

    /// Why sled is of no use, if so.
    pub(super) fn failure(&self) -> Option<RowsFailure> {
        match &*read(&self.state) {
            State::Empty | State::Ready(_) => None,
            State::Failed(failure) => Some(failure.clone()),
        }
    }

    /// Does something with sled; `None` when there are no rows.
    fn on<T>(
        &self,
        act: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<Option<T>, RowsFailure> {
        if self.is_empty() {
            return Ok(None);
        }
        self.with_instance(|instance| guarded(|| act(&instance.tree)))
            .map(Some)
    }

    /// Takes sled out of service.
    fn fail(&self, failure: &RowsFailure) {
        let mut state = write(&self.state);
        if matches!(*state, State::Ready(_)) {
            tracing::error!(%failure, "the row cache failed and will be made anew");
            *state = State::Failed(failure.clone());
            self.bell.ring();
        }
    }

    fn damaged(&self, key: &[u8]) -> RowsFailure {
        let failure = RowsFailure(format!("row {key:02x?} is damaged"));
        self.fail(&failure);
        failure
    }

    /// A row.
    pub(super) fn get(&self, key: &[u8]) -> Result<Cell, RowsFailure> {
        let Some(stored) = self.on(|tree| tree.get(key))?.flatten() else {
            return Ok(None);
        };
        let (version, value) = unpack(key, &stored).ok_or_else(|| self.damaged(key))?;
        Ok(Some((version, Bytes::copy_from_slice(value))))
    }

    /// The version of a row; 0 when there is none.
    pub(super) fn version(&self, key: &[u8]) -> Result<u64, RowsFailure> {
        let Some(stored) = self.on(|tree| tree.get(key))?.flatten() else {
            return Ok(0);
        };
        let unpacked = unpack(key, &stored).ok_or_else(|| self.damaged(key))?;
        Ok(unpacked.0)
    }

    /// Hands the rows of a range to `take` in order until it has enough (returns false).
    pub(super) fn range(
        &self,
        (start, end): (Bound<&[u8]>, Bound<&[u8]>),
        order: Order,
        mut take: impl FnMut(&[u8], u64, &[u8]) -> bool,
    ) -> Result<(), RowsFailure> {
        let mut broken = None;
        self.on(|tree| {
            let mut rows = tree.range::<&[u8], _>((start, end));
            loop {
                let next = match order {
                    Order::Ascending => rows.next(),
                    Order::Descending => rows.next_back(),
                };
                let Some(row) = next else { return Ok(()) };
                let (key, stored) = row?;
                let Some((version, value)) = unpack(&key, &stored) else {
                    broken = Some(key);
                    return Ok(());
                };
                if !take(&key, version, value) {
                    return Ok(());
                }
            }
        })?;
        match broken {
            Some(key) => Err(self.damaged(&key)),
            None => Ok(()),
        }
    }

    /// How many rows there are: each of them is counted.
    pub(super) fn len(&self) -> Result<usize, RowsFailure> {
        let mut rows = 0;
        let callers = [1];
        self.range(
            (Bound::Included(&callers), Bound::Unbounded),
            Order::Ascending,
            |_, _, _| {
                rows += 1;
                true
            },
        )?;
        Ok(rows)
    }

    /// Does something with the instance in use; what fails takes it out of service.
    pub(super) fn with_instance<T>(
        &self,
        act: impl FnOnce(&Instance) -> Result<T, RowsFailure>,
    ) -> Result<T, RowsFailure> {
        let instance = match &*read(&self.state) {
            State::Empty => return Err(RowsFailure("there is no instance".to_owned())),
            State::Ready(instance) => instance.clone(),
            State::Failed(failure) => return Err(failure.clone()),
        };
        act(&instance).inspect_err(|failure| self.fail(failure))
    }
}

/// The number in the name of an instance's folder.
fn instance_number(name: &std::ffi::OsStr) -> Option<u64> {
    u64::from_str_radix(name.to_str()?.strip_prefix(INSTANCE)?, 16).ok()
}

/// Calls sled; a panic in it is a failure like any other.
fn guarded<T>(act: impl FnOnce() -> sled::Result<T>) -> Result<T, RowsFailure> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(RowsFailure(format!("sled: {error}"))),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(RowsFailure(format!(
                "sled panicked: {}",
                text.unwrap_or("?")
            )))
        }
    }
}

fn row_crc(key: &[u8], version: &[u8], value: &[u8]) -> u32 {
    Seal::NONE.crc(&[key, version, value])
}

fn pack(key: &[u8], version: u64, value: &[u8]) -> Vec<u8> {
    let version = version.to_be_bytes();
    let mut stored = Vec::with_capacity(PREFIX + value.len());
    stored.extend_from_slice(&version);
    stored.extend_from_slice(&row_crc(key, &version, value).to_be_bytes());
    stored.extend_from_slice(value);
    stored
}

fn unpack<'a>(key: &[u8], stored: &'a [u8]) -> Option<(u64, &'a [u8])> {
    let mut fields = Fields(stored);
    let version: [u8; 8] = fields.array()?;
    let crc = fields.u32()?;
    let value = fields.0;
    (row_crc(key, &version, value) == crc).then_some((u64::from_be_bytes(version), value))
}

/// Syncs every file and folder below `folder`, and itself.
fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync_tree(&entry.path())?,
            false => match File::open(entry.path()) {
                Ok(file) => file.sync_all()?,
                // sled removes files that it has merged.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            },
        }
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(folder: &Path) -> Rows {
        Rows::new(folder.to_path_buf(), 1024 * 1024, Arc::default())
    }

    fn keys(rows: &Rows, order: Order) -> Vec<u8> {
        let mut keys = Vec::new();
        let bounds = (Bound::Included(&b"a"[..]), Bound::Excluded(&b"z"[..]));
        let take = |key: &[u8], _, _: &[u8]| {
            keys.push(key[0]);
            true
        };
        rows.range(bounds, order, take).unwrap();
        keys
    }

    #[test]
    fn an_instance_is_read_once_it_is_published_and_says_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let cache = rows(folder.path());
        let fresh = cache.create(1).unwrap();
        fresh
            .write(&[(b"a", 1, Some(b"x")), (b"b", 2, Some(b""))])
            .unwrap();
        assert_eq!(cache.get(b"a"), Ok(None));
        fresh.settle(7).unwrap();
        cache.publish(fresh);
        assert_eq!(cache.get(b"a"), Ok(Some((1, Bytes::from_static(b"x")))));
        assert_eq!((cache.version(b"b"), cache.version(b"c")), (Ok(2), Ok(0)));
        assert_eq!(keys(&cache, Order::Descending), b"ba");
        let changes: [RowChange<'_>; 2] = [(b"a", 3, None), (b"c", 3, Some(b"y"))];
        cache.with_instance(|rows| rows.write(&changes)).unwrap();
        assert_eq!(keys(&cache, Order::Ascending), b"bc");
        drop(cache);
        let cache = rows(folder.path());
        assert_eq!(cache.greatest_instance(), 1);
        // sled lets go of its lock in a thread of its own, a moment after it was dropped.
        let mut opened = cache.open(1);
        for _ in 0..500 {
            if opened.is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
            opened = cache.open(1);
        }
        assert_eq!(opened, Ok(Some(7)));
        assert!(cache.open(2).is_err());
    }

    #[test]
    fn a_damaged_row_takes_the_instance_out_of_service() {
        let folder = tempfile::tempdir().unwrap();
        let cache = rows(folder.path());
        let fresh = cache.create(1).unwrap();
        fresh.tree.insert(b"a", pack(b"b", 1, b"x")).unwrap();
        cache.publish(fresh);
        assert!(cache.get(b"a").is_err());
        assert!(cache.failure().is_some());
        assert!(
            cache.get(b"other").is_err(),
            "nothing of it is believed any more"
        );
        drop(cache.create(2).unwrap());
        assert!(!folder.path().join("rows-0000000000000001").exists());
    }
}
