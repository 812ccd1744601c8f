//! What several targets share: a folder in memory with a store in it, and the damage that an input describes.

mod disk;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla::store::local::{LocalOptions, LocalStore};
use ottla::store::{
    BlobStore, Commit, Key, KeyRange, Limit, MetaStore, Order, Outcome, Space, Store, StoreError,
    Write,
};
use tokio::runtime::{Builder, Runtime};

pub use disk::MemoryDisk;

/// Most damages that one input does.
const DAMAGES_MAX: usize = 16;

/// Commits that a folder is made with.
const COMMITS: u32 = 60;

/// All files of a folder by name.
pub type Image = BTreeMap<String, Vec<u8>>;

/// Files that a target damages, by how their names begin.
pub struct Damager {
    runtime: Runtime,
    sound: Image,
    prefix: &'static str,
    sled: tempfile::TempDir,
    lives: u32,
}

impl Damager {
    /// A folder with a store in it that was closed, and of whose files those with `prefix` will be damaged.
    pub fn new(prefix: &'static str) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        // sled syncs for real: in memory, where there is such a folder, that costs nothing.
        let sled = tempfile::tempdir_in(Path::new("/dev/shm")).or_else(|_| tempfile::tempdir());
        let mut damager = Self {
            runtime,
            sound: Image::new(),
            prefix,
            sled: sled.expect("a temporary folder"),
            lives: 0,
        };
        damager.sound = damager.make();
        let mut names = damager.sound.keys();
        assert!(
            names.any(|name| name.starts_with(prefix)),
            "no file begins with {prefix}: {:?}",
            damager.sound.keys()
        );
        damager
    }

    /// Opens the folder with the damage that `input` describes: `file, position (2 bytes), length, bytes` again and
    /// again. What opens is read to the end; an error is as good. Nothing may panic, or take for ever.
    pub fn run(&mut self, input: &[u8]) {
        let mut image = self.sound.clone();
        let mut files: Vec<&mut Vec<u8>> = image
            .iter_mut()
            .filter(|(name, _)| name.starts_with(self.prefix))
            .map(|(_, content)| content)
            .collect();
        let mut rest = input;
        for _ in 0..DAMAGES_MAX {
            let [file, high, low, length, after @ ..] = rest else {
                break;
            };
            let count = files.len();
            let content = &mut *files[usize::from(*file) % count];
            let at = usize::from(u16::from_be_bytes([*high, *low])).min(content.len());
            let (bytes, after) = after.split_at(usize::from(*length).min(after.len()));
            match bytes {
                // Without bytes the file is cut off.
                [] => content.truncate(at),
                _ => {
                    let end = (at + bytes.len()).min(content.len());
                    content[at..end].copy_from_slice(&bytes[..end - at]);
                }
            }
            rest = after;
        }
        let disk = MemoryDisk::of(image);
        if let Ok(store) = self.open(&disk) {
            let _ = self.runtime.block_on(read_all(&store));
            let _ = self.runtime.block_on(store.close());
        }
    }

    fn open(&mut self, disk: &MemoryDisk) -> Result<LocalStore, String> {
        self.lives += 1;
        let folder = self.sled.path().join(self.lives.to_string());
        let opened = LocalStore::open(options(), Arc::new(disk.clone()), folder.clone());
        // sled keeps its files open; the names are in the way of nobody's memory.
        let _ = std::fs::remove_dir_all(folder);
        opened.map_err(|error| error.to_string())
    }

    /// The files of a store that has done some work, snapshots among it.
    fn make(&mut self) -> Image {
        let disk = MemoryDisk::of(Image::new());
        let store = self.open(&disk).expect("an empty folder");
        self.runtime.block_on(async {
            for number in 0..COMMITS {
                work(&store, number).await.expect("a commit");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            store.close().await.expect("it closes");
        });
        drop(store);
        disk.image()
    }
}

/// Runs `damager` of this thread, which is made once.
pub fn with_damager(prefix: &'static str, input: &[u8]) {
    thread_local! {
        static DAMAGER: RefCell<Option<Damager>> = const { RefCell::new(None) };
    }
    DAMAGER.with_borrow_mut(|damager| {
        damager
            .get_or_insert_with(|| Damager::new(prefix))
            .run(input);
    });
}

fn options() -> LocalOptions {
    LocalOptions {
        segment_size: Some(8 * 4096),
        frame_bytes_max: 4096,
        checkpoint_overlay_bytes: 4096,
        checkpoint_journal_bytes: 64 * 1024,
        snapshot_row_bytes_min: 2048,
        snapshot_sort_bytes: 4096,
        sled_cache_bytes: 1 << 20,
        idle_after: Duration::from_secs(60),
        seed: Some(1),
        ..LocalOptions::default()
    }
}

async fn work(store: &LocalStore, number: u32) -> Result<Outcome, StoreError> {
    let key = Key::new(Space::Run, (number % 7).to_be_bytes().to_vec());
    // Zeros, so that a place among them lies at the start of the body.
    let bytes = Bytes::from(vec![0; 100]);
    let write = match number % 5 {
        0 => Write::Put {
            key,
            value: bytes,
            place_at: Some(3),
        },
        1 => Write::Delete { key },
        _ => Write::Append {
            key,
            bytes,
            place_at: None,
        },
    };
    let head = Write::Put {
        key: Key::new(Space::Head, number.to_be_bytes().to_vec()),
        value: Bytes::from(vec![9; 40]),
        place_at: None,
    };
    let commit = Commit {
        guards: Vec::new(),
        writes: vec![write, head],
        body: vec![Bytes::from(vec![1; 500])],
    };
    store.commit(commit).await
}

async fn read_all(store: &LocalStore) -> Result<(), StoreError> {
    for space in [Space::Head, Space::Run] {
        let limit = Limit {
            rows: 1_000,
            bytes: 1 << 20,
        };
        store
            .scan(KeyRange::all(space), Order::Ascending, limit)
            .await?;
    }
    for blob in store.blobs().await? {
        store.placed_keys(blob.name).await?;
        let range = 0..blob.size.min(4096);
        store.read(blob.name, std::slice::from_ref(&range)).await?;
    }
    Ok(())
}
