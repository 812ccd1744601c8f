//! One machine under test: its disk, its sled folder, the model, and the lives of the store on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ottla::base::Rng;
use ottla::store::local::disk::Disk;
use ottla::store::local::{Durability, LocalOptions, LocalStore, OpenError};
use ottla::store::{BlobName, Key, KeyRange, Limit, Order, Row, Space, Store, StoreError};

use super::model::{Model, normalize};
use super::sled_folder::SledFolder;
use crate::disk::SimDisk;

/// How the store's life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The machine loses power.
    PowerCut,
    /// The process dies, the machine goes on.
    ProcessDeath,
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) rng: Rng,
    pub(crate) model: Model,
    pub(crate) options: LocalOptions,
    pub(crate) disk: SimDisk,
    pub(crate) sled: SledFolder,
    /// The steps below this one were acknowledged.
    pub(crate) acknowledged: Arc<AtomicU64>,
    /// The steps below this one were acknowledged or read, and no longer only in the page cache where that is promised.
    pub(crate) floor: u64,
    /// The steps below this one were acknowledged before the store was closed.
    closed: u64,
    /// The store has said that it accepts nothing any more.
    pub(crate) poisoned: bool,
    /// Whether a refusal (full, unavailable) is foreseen, so that no future may be dropped before its answer.
    pub(crate) refusals: bool,
    /// Whether what was acknowledged and not synced (in `os` mode) may be lost without a power cut, by a failed sync.
    pub(crate) forgetful: bool,
    /// Stands between the engine and the disk, for mutants.
    pub(crate) wrap: fn(SimDisk) -> Arc<dyn Disk>,
}

/// Sizes so small that segments, checkpoints and snapshots turn over all the time; drawn, so that they meet in many ways.
pub(crate) fn small_options(rng: &mut Rng, durability: Durability) -> LocalOptions {
    let between = |rng: &mut Rng, low: u64, high: u64| low + rng.below(high - low + 1);
    let size = |number: u64| usize::try_from(number).expect("small sizes");
    LocalOptions {
        durability,
        os_sync_interval: Duration::from_millis(between(rng, 0, 3)),
        idle_after: Duration::from_millis(between(rng, 1, 8)),
        segment_size: Some(between(rng, 8, 32) * 4096),
        frame_bytes_max: size(between(rng, 4, 32) * 1024),
        checkpoint_overlay_bytes: size(between(rng, 1, 16) * 1024),
        checkpoint_journal_bytes: between(rng, 8, 100) * 4096,
        overlay_bytes_max: 4 << 20,
        snapshot_row_bytes_min: between(rng, 2, 32) * 1024,
        snapshot_sort_bytes: size(between(rng, 4, 64) * 1024),
        sled_cache_bytes: 1 << 20,
        spare_segments_max: size(between(rng, 0, 2)),
        seed: Some(rng.next_u64()),
        ..LocalOptions::default()
    }
}

impl World {
    pub(crate) fn new(seed: u64, durability: Durability) -> Self {
        let mut rng = Rng::seeded(seed);
        let options = small_options(&mut rng, durability);
        let disk = SimDisk::new(rng.next_u64());
        disk.set_sector(if rng.one_in(2) { 512 } else { 4096 });
        let acknowledged = disk.acknowledged();
        Self {
            seed,
            rng,
            model: Model::default(),
            options,
            disk,
            sled: SledFolder::new(),
            acknowledged,
            floor: 0,
            closed: 0,
            poisoned: false,
            refusals: false,
            forgetful: false,
            wrap: |disk| Arc::new(disk),
        }
    }

    /// Opens the store as a start of the broker does.
    pub(crate) fn open(&self) -> Result<Arc<LocalStore>, OpenError> {
        let disk = (self.wrap)(self.disk.clone());
        LocalStore::open(self.options.clone(), disk, self.sled.path()).map(Arc::new)
    }

    /// What must be there after this end, at least.
    pub(crate) fn end(&mut self, end: End) {
        let acknowledged = self.acknowledged.load(Ordering::SeqCst).max(self.floor);
        let (disk, all) = match end {
            End::ProcessDeath => (self.disk.next_process(), !self.forgetful),
            End::PowerCut => {
                let disk = self.disk.next_boot();
                (disk, self.options.durability == Durability::Fsync)
            }
        };
        let floor = if all {
            acknowledged
        } else {
            self.disk.synced().max(self.closed)
        };
        self.disk = disk;
        self.floor = floor;
        self.acknowledged.store(floor, Ordering::SeqCst);
        self.poisoned = false;
    }

    /// Ends the store's life in order: from now on nothing that was acknowledged may be lost.
    pub(crate) async fn close(&mut self, store: &dyn Store) -> Result<(), String> {
        match store.close().await {
            Ok(()) => {
                self.closed = self.acknowledged.load(Ordering::SeqCst);
                Ok(())
            }
            Err(_) if self.disk.is_off() => Ok(()),
            Err(error) => Err(format!("close: {error}")),
        }
    }

    /// Compares everything that the store has with the model.
    ///
    /// # Errors
    /// What is lost, doubled, moved or damaged.
    pub(crate) async fn verify(&mut self, store: &dyn Store) -> Result<(), String> {
        let rows = self.scan_all(store).await?;
        let end = self.model.recover(&rows, self.floor)?;
        self.floor = end;
        self.check_bodies(store, &rows).await
    }

    /// All rows, in pages of a random size.
    pub(crate) async fn scan_all(&mut self, store: &dyn Store) -> Result<Vec<Row>, String> {
        let mut all = Vec::new();
        for space in (1..=8).filter_map(Space::from_number) {
            let mut range = KeyRange::all(space);
            loop {
                let limit = Limit {
                    rows: usize::try_from(1 + self.rng.below(12)).expect("small"),
                    bytes: usize::MAX,
                };
                let page = patiently(|| store.scan(range.clone(), Order::Ascending, limit)).await;
                let page = page.map_err(|error| format!("scan of {space:?}: {error}"))?;
                let Some(last) = page.last() else { break };
                range.start = [&last.key.bytes[..], &[0]].concat().into();
                all.extend(page);
            }
        }
        Ok(all)
    }

    /// Checks that every body is where it was, byte for byte, and that its blob knows of it.
    pub(crate) async fn check_bodies(
        &mut self,
        store: &dyn Store,
        rows: &[Row],
    ) -> Result<(), String> {
        let infos = store.blobs().await.map_err(|error| error.to_string())?;
        let mut placed_keys: Vec<(BlobName, Vec<Key>)> = Vec::new();
        for row in rows {
            let (_, placed) = normalize(row.value.as_deref().unwrap_or_default())?;
            for (placed, place) in placed {
                let what = || format!("{:?}, body {} at {place:?}", row.key, placed.body);
                let known = *self.model.places.entry(placed.body).or_insert(place);
                if known != place {
                    return Err(format!("{} was at {known:?}", what()));
                }
                if infos.iter().all(|info| info.name != place.blob) {
                    return Err(format!("{}: the blob is not listed", what()));
                }
                let end = place.position + u64::from(placed.len);
                let read = store.read(place.blob, &[place.position..end]).await;
                let read = read.map_err(|error| format!("{}: {error}", what()))?;
                let flipped = flipped_bits(&read[0], &self.model.body(placed.body));
                if flipped == 1 {
                    return Err(format!("{} differs in one bit", what()));
                }
                if flipped > 0 {
                    return Err(format!("{} is not what was written", what()));
                }
                if placed_keys.iter().all(|(name, _)| *name != place.blob) {
                    let keys = store.placed_keys(place.blob).await;
                    let keys = keys.map_err(|error| format!("{}: {error}", what()))?;
                    placed_keys.push((place.blob, keys));
                }
                let keys = placed_keys.iter().find(|(name, _)| *name == place.blob);
                if !keys.is_some_and(|(_, keys)| keys.contains(&row.key)) {
                    return Err(format!("{} is not among the placed keys", what()));
                }
            }
        }
        Ok(())
    }

    /// What a person needs to see this again.
    pub(crate) fn report(&self, problem: &str) -> String {
        format!(
            "{problem}\n--- the last operations on the disk:\n{}\n--- options: {:?}\n--- again with: \
             OTTLA_SIM_SEED={} cargo test --test sim",
            self.disk.trace(),
            self.options,
            self.seed
        )
    }
}

/// Asks again while the store says that it is not available: it makes sled anew after sled has failed.
pub(crate) async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(
    ask: impl Fn() -> F,
) -> Result<T, StoreError> {
    let begun = std::time::Instant::now();
    loop {
        match ask().await {
            Err(StoreError::Unavailable { .. }) if begun.elapsed() < Duration::from_secs(10) => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            answer => return answer,
        }
    }
}

/// In how many bits two pieces of memory differ.
fn flipped_bits(one: &[u8], other: &[u8]) -> usize {
    if one.len() != other.len() {
        return usize::MAX;
    }
    if one == other {
        return 0;
    }
    let pairs = one.iter().zip(other);
    pairs.map(|(a, b)| (a ^ b).count_ones() as usize).sum()
}
