//! A start, and reads, on rows that nobody wrote: `space, key length, value length (2 bytes), key, value` again and
//! again, in the memory engine.

#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ottla::base::ManualClock;
use ottla::broker::Broker;
use ottla::broker::fetch::FetchLimits;
use ottla::broker::fetch_session::{PartitionKey, TopicKey, Wanted};
use ottla::broker::reader::Isolation;
use ottla::config::Config;
use ottla::store::memory::MemoryStore;
use ottla::store::{Commit, Key, MetaStore, Space, Write};
use tokio::runtime::Builder;

/// Partitions that are read of each topic.
const PARTITIONS_MAX: usize = 4;

fuzz_target!(|input: &[u8]| {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(start_and_read(input));
});

async fn start_and_read(input: &[u8]) {
    let store = Arc::new(MemoryStore::new());
    let mut rest = input;
    while let [space, key, high, low, after @ ..] = rest {
        let spaces = [Space::Head, Space::Run, Space::Producer, Space::Cluster];
        let (key, after) = after.split_at(usize::from(*key).min(after.len()));
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, after) = after.split_at(length.min(after.len()));
        let write = Write::Put {
            key: Key::new(spaces[usize::from(*space) % 4], key.to_vec()),
            value: Bytes::copy_from_slice(value),
            place_at: None,
        };
        let commit = Commit {
            writes: vec![write],
            ..Commit::default()
        };
        // A row that the engine refuses is not there.
        let _ = store.commit(commit).await;
        rest = after;
    }
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let Ok(broker) = Broker::start(Arc::new(Config::default()), store, clock).await else {
        return;
    };
    let topics = broker.catalog.topics();
    let wanted = topics.iter().flat_map(|topic| {
        let partitions = 0..topic.partitions.len().min(PARTITIONS_MAX);
        partitions.map(|index| {
            let key = PartitionKey {
                topic: TopicKey::Id(topic.id),
                index: i32::try_from(index).expect("a few"),
            };
            let wanted = Wanted {
                fetch_offset: 0,
                bytes_max: 1 << 20,
                current_leader_epoch: -1,
                last_fetched_epoch: -1,
            };
            (key, wanted)
        })
    });
    let limits = FetchLimits {
        wait_max: Default::default(),
        bytes_min: 1,
        bytes_max: 1 << 20,
        isolation: Isolation::ReadCommitted,
    };
    let wanted: Vec<_> = wanted.collect();
    broker.fetch(&wanted, limits).await;
}
