//! The engines that the suite runs on.

use std::sync::Arc;

use ottla::store::Store;
use ottla::store::memory::MemoryStore;

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
