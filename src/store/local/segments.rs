//! All segments of a journal: which hold something, which wait to be used again, and what comes next.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::aligned::round_up;
use super::codec::to_u64;
use super::disk::Create;
use super::locks::lock;
use super::mutant::Mutant;
use super::segment::{Files, JournalFile, Segment, SegmentHeader, file_name, write_header};
use crate::base::Rng;

/// Bytes of the file that is kept for deletion frames when the disk is full; a usual segment, where that is less.
const RESERVE_SIZE_MAX: u64 = 1024 * 1024;

/// What a segment is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Anything. Leaves the reserve alone.
    Data,
    /// Frames that only give space back. May take the reserve.
    Deletion,
}

/// Why there is no next segment.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoSegment {
    /// The file system has no room for one beside the reserve.
    #[error("{0}")]
    Full(String),
    /// The disk failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What an engine's own row says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentRow {
    /// Bytes of the file.
    pub(super) size: u64,
    /// Where its last frame ends; 0 while it is written to.
    pub(super) end: u64,
    /// Batch bytes in it.
    pub(super) body: u64,
}

impl SegmentRow {
    /// What the keys of these rows begin with: in no caller's space.
    pub(super) const PREFIX: &'static [u8] = b"\0segment";

    /// The row's key.
    pub(super) fn key(generation: u64) -> Vec<u8> {
        [Self::PREFIX, &generation.to_be_bytes()].concat()
    }

    /// The generation that a key names.
    pub(super) fn generation(key: &[u8]) -> Option<u64> {
        let bytes = key.strip_prefix(Self::PREFIX)?;
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        [self.size, self.end, self.body]
            .map(u64::to_be_bytes)
            .concat()
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut fields = super::codec::Fields(value);
        let (size, end, body) = (fields.u64()?, fields.u64()?, fields.u64()?);
        fields.0.is_empty().then_some(Self { size, end, body })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Segments {
    pub(super) files: Arc<Files>,
    store_id: [u8; 16],
    /// Bytes of a usual segment.
    size: u64,
    alignment: u32,
    spares_max: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// By generation: readable.
    live: BTreeMap<u64, Arc<Segment>>,
    /// Deleted, and still pinned or needed by a replay.
    dead: Vec<Arc<Segment>>,
    /// Of the usual size, allocated, nothing in them.
    spares: Vec<JournalFile>,
    /// See [`RESERVE_SIZE_MAX`].
    reserve: Option<JournalFile>,
    next_generation: u64,
    next_file: u64,
    rng: Rng,
    /// Bytes of the file system that a snapshot and a checkpoint may need, kept free.
    kept_free: u64,
}

impl Segments {
    /// No segments yet, in a folder of this identity.
    pub(super) fn new(
        files: Arc<Files>,
        store_id: [u8; 16],
        size: u64,
        spares_max: usize,
        rng: Rng,
    ) -> Self {
        let alignment = files.disk.alignment();
        let granted = u32::try_from(alignment).unwrap_or(u32::MAX);
        Self {
            files,
            store_id,
            size: round_up(size, to_u64(alignment)),
            alignment: granted,
            spares_max,
            state: Mutex::new(State {
                live: BTreeMap::new(),
                dead: Vec::new(),
                spares: Vec::new(),
                reserve: None,
                next_generation: 1,
                next_file: 1,
                rng,
                kept_free: 0,
            }),
        }
    }

    pub(super) fn alignment(&self) -> u64 {
        u64::from(self.alignment)
    }

    /// The generation, pinned; `None` when it is gone.
    pub(super) fn pin(&self, generation: u64) -> Option<Arc<Segment>> {
        lock(&self.state).live.get(&generation).cloned()
    }

    /// Bytes of the reserve.
    fn reserve_size(&self) -> u64 {
        RESERVE_SIZE_MAX.min(self.size)
    }

    /// All that are readable or that a replay may need, by generation.
    pub(super) fn all(&self) -> BTreeMap<u64, Arc<Segment>> {
        let state = lock(&self.state);
        let dead = state.dead.iter().cloned();
        let dead = dead.map(|segment| (segment.generation(), segment));
        state.live.clone().into_iter().chain(dead).collect()
    }

    /// All that are readable.
    pub(super) fn live(&self) -> Vec<Arc<Segment>> {
        lock(&self.state).live.values().cloned().collect()
    }

    /// Makes a segment readable.
    pub(super) fn install(&self, segment: Arc<Segment>) {
        let mut state = lock(&self.state);
        state.next_generation = state.next_generation.max(segment.generation() + 1);
        state.live.insert(segment.generation(), segment);
    }

    /// Takes over a deleted segment that a replay may still need.
    pub(super) fn install_dead(&self, segment: Arc<Segment>) {
        let mut state = lock(&self.state);
        state.next_generation = state.next_generation.max(segment.generation() + 1);
        state.dead.push(segment);
    }

    /// Uses no generation and no file number up to these again.
    pub(super) fn skip(&self, generation: u64, file: u64) {
        let mut state = lock(&self.state);
        state.next_generation = state.next_generation.max(generation.saturating_add(1));
        state.next_file = state.next_file.max(file.saturating_add(1));
    }

    /// Bytes that must stay free on the file system whatever is allocated for data.
    pub(super) fn keep_free(&self, bytes: u64) {
        lock(&self.state).kept_free = bytes;
    }

    /// Takes over a file in which nothing lives: as the reserve or a spare where it is of use, else it is removed.
    pub(super) fn adopt(&self, file: JournalFile) -> io::Result<()> {
        let size = file.length()?;
        let mut state = lock(&self.state);
        if size == self.reserve_size() && state.reserve.is_none() {
            state.reserve = Some(file);
        } else if size == self.size && state.spares.len() < self.spares_max {
            state.spares.push(file);
        } else {
            drop(state);
            self.remove(file)?;
        }
        Ok(())
    }

    fn remove(&self, file: JournalFile) -> io::Result<()> {
        let name = file.name().to_owned();
        drop(file);
        self.files.disk.remove(&name)
    }

    /// Allocates one spare when there is none, so that the journal need not wait for it.
    pub(super) fn prepare(&self) -> Result<(), NoSegment> {
        if lock(&self.state).spares.is_empty() && self.spares_max > 0 {
            let (file, ()) = self.allocate(self.size, |_| Ok(()))?;
            lock(&self.state).spares.push(file);
        }
        Ok(())
    }

    /// Sees to it that there is a reserve; a spare gives way to it. Nothing but deletions may be written without one.
    pub(super) fn prepare_reserve(&self) -> Result<(), NoSegment> {
        while lock(&self.state).reserve.is_none() {
            match self.allocate(self.reserve_size(), |_| Ok(())) {
                Ok((file, ())) => {
                    let second = lock(&self.state).reserve.replace(file);
                    // The writer and the keeper may both have found none.
                    second.map_or(Ok(()), |file| self.adopt(file))?;
                }
                Err(NoSegment::Full(reason)) => {
                    let spare = lock(&self.state).spares.pop();
                    self.remove(spare.ok_or(NoSegment::Full(reason))?)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes the first segment of a new folder, and the reserve: nothing of it is synced yet.
    pub(super) fn first(&self) -> Result<(Segment, JournalFile), NoSegment> {
        let file = self.create(self.size)?;
        let header = self.begin(&file, self.size)?;
        let reserve = self.create(self.reserve_size())?;
        Ok((Segment::new(file, header), reserve))
    }

    /// A segment for the journal to go on in, of the usual size or `size_min`, whichever is more: its header and its
    /// name are durable. Not installed yet. Tells what it may be used for.
    pub(super) fn next(
        &self,
        size_min: u64,
        purpose: Purpose,
    ) -> Result<(Segment, Purpose), NoSegment> {
        let size = round_up(size_min.max(self.size), self.alignment());
        let spare = match size == self.size {
            true => lock(&self.state).spares.pop(),
            false => None,
        };
        if let Some(spare) = spare {
            return Ok((self.begin_again(spare, size)?, Purpose::Data));
        }
        match self.allocate(size, |file| self.begin(file, size)) {
            Ok((file, header)) => Ok((Segment::new(file, header), Purpose::Data)),
            Err(NoSegment::Full(reason))
                if purpose == Purpose::Deletion && size_min <= self.reserve_size() =>
            {
                let reserve = lock(&self.state).reserve.take();
                let reserve = reserve.ok_or(NoSegment::Full(reason))?;
                let segment = self.begin_again(reserve, self.reserve_size())?;
                Ok((segment, Purpose::Deletion))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a file that is durable a header that is.
    fn begin_again(&self, file: JournalFile, size: u64) -> io::Result<Segment> {
        let header = self.begin(&file, size)?;
        file.sync_data()?;
        Ok(Segment::new(file, header))
    }

    /// Gives a file the header of the next generation, not yet synced.
    fn begin(&self, file: &JournalFile, size: u64) -> io::Result<SegmentHeader> {
        let header = self.new_header(size);
        write_header(file, &header)?;
        Ok(header)
    }

    fn new_header(&self, size: u64) -> SegmentHeader {
        let mut state = lock(&self.state);
        let generation = state.next_generation;
        state.next_generation += 1;
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&state.rng.next_u64().to_be_bytes());
        salt[8..].copy_from_slice(&state.rng.next_u64().to_be_bytes());
        SegmentHeader {
            store_id: self.store_id,
            generation,
            size,
            salt,
            alignment: self.alignment,
        }
    }

    /// Makes a file of `size` bytes that survives a power cut, with what `fill` writes to it.
    fn allocate<T>(
        &self,
        size: u64,
        fill: impl FnOnce(&JournalFile) -> io::Result<T>,
    ) -> Result<(JournalFile, T), NoSegment> {
        let file = self.create(size)?;
        let secured = fill(&file).and_then(|filled| {
            file.sync_all()?;
            self.files.disk.sync_folder()?;
            Ok(filled)
        });
        match secured {
            Ok(filled) => Ok((file, filled)),
            Err(error) => Err(self.give_up(file, error)),
        }
    }

    /// Makes a file of `size` bytes, not yet synced, where there is room for it.
    fn create(&self, size: u64) -> Result<JournalFile, NoSegment> {
        let (number, kept_free) = {
            let mut state = lock(&self.state);
            state.next_file += 1;
            (state.next_file - 1, state.kept_free)
        };
        let needed = size.saturating_add(kept_free);
        let available = self.files.disk.space()?.available;
        if available < needed {
            return Err(NoSegment::Full(format!(
                "{available} bytes are available, {needed} are needed"
            )));
        }
        let file = self.files.open(&file_name(number), Create::CreateNew)?;
        match file.allocate(size) {
            Ok(()) => Ok(file),
            Err(error) => Err(self.give_up(file, error)),
        }
    }

    /// Removes a file that could not be made: nothing refers to it, and a start would remove it too.
    fn give_up(&self, file: JournalFile, error: io::Error) -> NoSegment {
        let name = file.name().to_owned();
        if let Err(error) = self.remove(file) {
            tracing::warn!(file = name, %error, "unused journal file could not be removed");
        }
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                NoSegment::Full(error.to_string())
            }
            _ => error.into(),
        }
    }

    /// Takes segments out of reach of new readers.
    pub(super) fn retire(&self, generations: &[u64]) {
        let mut state = lock(&self.state);
        for generation in generations {
            if let Some(segment) = state.live.remove(generation) {
                state.dead.push(segment);
            }
        }
    }

    /// Bytes of deleted segments that wait only for a snapshot beyond generation `passed`.
    pub(super) fn waiting_for_snapshot(&self, passed: u64) -> u64 {
        let state = lock(&self.state);
        let waiting = state.dead.iter().filter(|dead| dead.generation() >= passed);
        waiting.map(|dead| dead.header.size).sum()
    }

    /// Gives back the deleted segments that no reader pins and no replay needs: a snapshot has passed all
    /// generations below `passed`.
    pub(super) fn recycle(&self, passed: u64) -> io::Result<()> {
        let (ready, waiting): (Vec<_>, Vec<_>) = {
            let mut state = lock(&self.state);
            let dead = std::mem::take(&mut state.dead);
            dead.into_iter().partition(|segment| {
                let passed = segment.generation() < passed || Mutant::RecyclingWait.is_left_out();
                passed && Arc::strong_count(segment) == 1
            })
        };
        lock(&self.state).dead.extend(waiting);
        for segment in ready {
            let generation = segment.generation();
            // Nobody can pin it any more: it was in no map.
            if let Some(segment) = Arc::into_inner(segment) {
                tracing::debug!(file = segment.file.name(), generation, "segment recycled");
                self.adopt(segment.file)?;
            }
        }
        Ok(())
    }

    /// Whether deleted segments are left that have yet to be given back.
    pub(super) fn has_dead(&self, passed: u64) -> bool {
        let state = lock(&self.state);
        state.dead.iter().any(|dead| dead.generation() < passed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::RealDisk;
    use super::*;

    fn segments(folder: &std::path::Path) -> Segments {
        let disk = Arc::new(RealDisk::open(folder).unwrap());
        Segments::new(Files::new(disk), [1; 16], 64 * 1024, 1, Rng::seeded(1))
    }

    #[test]
    fn a_full_disk_leaves_the_reserve_to_deletions() {
        let folder = tempfile::tempdir().unwrap();
        let segments = segments(folder.path());
        segments.prepare_reserve().unwrap();
        segments.keep_free(u64::MAX);
        let full = segments.next(0, Purpose::Data);
        assert!(matches!(full, Err(NoSegment::Full(_))), "{full:?}");
        let (reserve, purpose) = segments.next(0, Purpose::Deletion).unwrap();
        assert_eq!(purpose, Purpose::Deletion);
        let full = segments.next(0, Purpose::Deletion);
        assert!(matches!(full, Err(NoSegment::Full(_))), "{full:?}");
        segments.keep_free(0);
        let (next, purpose) = segments.next(0, Purpose::Deletion).unwrap();
        assert_eq!(purpose, Purpose::Data);
        assert!(next.generation() > reserve.generation());
        assert_ne!(next.header.salt, reserve.header.salt);
    }

    #[test]
    fn a_spare_gives_way_to_the_reserve() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk::open(folder.path()).unwrap());
        let size = 2 * RESERVE_SIZE_MAX;
        let segments = Segments::new(Files::new(disk), [1; 16], size, 1, Rng::seeded(1));
        segments.prepare().unwrap();
        segments.keep_free(u64::MAX);
        let full = segments.prepare_reserve();
        assert!(matches!(full, Err(NoSegment::Full(_))), "{full:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        segments.keep_free(0);
        segments.prepare_reserve().unwrap();
        segments.prepare_reserve().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_used_again_when_no_pin_and_no_replay_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let segments = segments(folder.path());
        segments.prepare_reserve().unwrap();
        let (first, _) = segments.next(0, Purpose::Data).unwrap();
        let (generation, name) = (first.generation(), first.file.name().to_owned());
        segments.install(Arc::new(first));
        let pin = segments.pin(generation).unwrap();
        segments.retire(&[generation]);
        assert!(segments.pin(generation).is_none());
        assert!(segments.waiting_for_snapshot(generation) > 0);
        segments.recycle(generation).unwrap();
        segments.recycle(generation + 1).unwrap();
        assert!(segments.has_dead(generation + 1), "pinned");
        drop(pin);
        segments.recycle(generation + 1).unwrap();
        assert!(!segments.has_dead(u64::MAX));
        let (second, _) = segments.next(0, Purpose::Data).unwrap();
        assert_eq!(second.file.name(), name);
        assert!(second.generation() > generation);
    }

    #[test]
    fn rows_of_segments_survive_encoding() {
        let row = SegmentRow {
            size: 1,
            end: 2,
            body: 3,
        };
        assert_eq!(SegmentRow::decode(&row.encode()), Some(row));
        assert_eq!(SegmentRow::decode(b"short"), None);
        assert_eq!(SegmentRow::generation(&SegmentRow::key(9)), Some(9));
        assert_eq!(SegmentRow::generation(b"\0checkpoint"), None);
    }
}
