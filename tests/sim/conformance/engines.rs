//! The engines that the suite runs on.

use std::sync::Arc;
use std::time::Duration;

use ottla::store::Store;
use ottla::store::local::disk::{Disk, RealDisk};
use ottla::store::local::{Durability, LocalOptions, LocalStore};
use ottla::store::memory::MemoryStore;
use tempfile::TempDir;

use crate::disk::{DirectAccess, SimDisk};

/// Runs every case on a new store each, on two threads as the broker does, and names those that fail.
fn run(mut new: impl FnMut() -> Arc<dyn Store>) {
    let mut broken = Vec::new();
    for case in super::all() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .expect("a runtime");
        if runtime.block_on(runtime.spawn((case.run)(new()))).is_err() {
            broken.push(case.promise);
        }
    }
    assert!(broken.is_empty(), "promises that do not hold: {broken:#?}");
}

#[test]
fn the_memory_engine_keeps_its_promises() {
    run(|| Arc::new(MemoryStore::new()));
}

/// The local engine in a new folder each time, with sizes that make it turn over; the folders live until the end.
fn run_local(durability: Durability, disk: impl Fn(&TempDir) -> Arc<dyn Disk>) {
    let mut folders = Vec::new();
    run(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = LocalOptions {
            durability,
            os_sync_interval: Duration::from_millis(5),
            idle_after: Duration::from_millis(5),
            segment_size: Some(2 << 20),
            frame_bytes_max: 1 << 20,
            checkpoint_overlay_bytes: 16 << 10,
            checkpoint_journal_bytes: 1 << 20,
            snapshot_row_bytes_min: 32 << 10,
            ..LocalOptions::default()
        };
        let opened = LocalStore::open(options, disk(&folder), folder.path().join("sled"));
        folders.push(folder);
        Arc::new(opened.expect("a new folder can be opened"))
    });
}

/// The folder of the operating system, beside sled's.
fn real(folder: &TempDir) -> Arc<dyn Disk> {
    let journal = folder.path().join("journal");
    std::fs::create_dir(&journal).expect("a folder can be made");
    Arc::new(RealDisk::open(&journal).expect("a folder can be opened"))
}

#[test]
fn the_local_engine_keeps_its_promises_on_a_real_folder() {
    run_local(Durability::Fsync, real);
}

#[test]
fn the_local_engine_keeps_its_promises_on_a_simulated_disk() {
    run_local(Durability::Fsync, |_| Arc::new(SimDisk::new(1)));
}

#[test]
fn the_local_engine_keeps_its_promises_without_direct_access_in_os_mode() {
    run_local(Durability::Os, |_| {
        let disk = SimDisk::new(1);
        disk.set_direct_access(DirectAccess::RefusedAtWrite);
        Arc::new(disk)
    });
}
