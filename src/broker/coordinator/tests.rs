//! The shell over engines whose commits fail: nobody hears of what was not written, and the group is what its rows say.

use std::sync::Arc;

use super::*;
use crate::base::ManualClock;
use crate::broker::catalog::CreateMode;
use crate::cluster::CreateTopic;
use crate::config::Config;
use crate::group::{Identity, OffsetCommit, PartitionCommit, TopicPartition, group_key};
use crate::store::fault::{FAULTS, FaultStore};
use crate::store::memory::MemoryStore;
use crate::store::{Commit, Write};

struct Setup {
    clock: Arc<ManualClock>,
    catalog: Catalog,
    coordinator: Coordinator,
}

impl Setup {
    /// A coordinator and a topic `t` with one partition.
    async fn on(store: Arc<dyn Store>) -> Self {
        let config = Arc::new(Config::default());
        let catalog = Catalog::load(store.clone(), config).await.expect("loads");
        if catalog.topics().is_empty() {
            let topic = CreateTopic {
                name: "t".to_owned(),
                partitions: 1,
                replication_factor: 1,
                ..CreateTopic::default()
            };
            let created = catalog.create(vec![topic], CreateMode::Create).await;
            assert!(created.expect("commits")[0].is_ok());
        }
        let clock = Arc::new(ManualClock::at(1_000_000));
        let parts = CoordinatorParts {
            store,
            catalog: catalog.clone(),
            clock: clock.clone(),
        };
        let coordinator = Coordinator::start(parts).await.expect("loads");
        Self {
            clock,
            catalog,
            coordinator,
        }
    }

    async fn commit(&self, offset: i64) -> Answer {
        let topic = self
            .catalog
            .topics()
            .by_name("t")
            .cloned()
            .expect("a topic");
        let commit = OffsetCommit {
            who: Identity {
                member_id: Arc::from(""),
                instance_id: None,
                generation: -1,
            },
            retention_ms: None,
            partitions: vec![PartitionCommit {
                of: TopicPartition {
                    topic: topic.name.clone(),
                    index: 0,
                    partition: topic.partitions[0],
                },
                offset,
                leader_epoch: -1,
                metadata: Arc::from(""),
            }],
        };
        self.coordinator
            .ask("g", Command::Commit(Box::new(commit)))
            .await
    }

    async fn offset(&self) -> Option<i64> {
        let read = self.coordinator.read(|groups| {
            let group = groups.get("g")?;
            group.offsets().values().next().map(|offset| offset.offset)
        });
        read.await.expect("answers")
    }
}

#[tokio::test]
async fn after_a_failed_commit_the_group_is_what_its_rows_say() {
    for fault in FAULTS {
        let store = FaultStore::new();
        let setup = Setup::on(store.clone()).await;
        assert_eq!(setup.commit(1).await, Ok(Reply::Commit(Ok(vec![Ok(())]))));
        store.plan([fault]);
        assert_eq!(
            setup.commit(2).await,
            Err(CoordinatorError::Lost),
            "{fault:?}"
        );
        let found = setup.offset().await.expect("the group is there");
        let again = Setup::on(store).await;
        assert_eq!(
            again.offset().await,
            Some(found),
            "{fault:?}: what is told is what is kept"
        );
        assert_eq!(
            setup.commit(3).await,
            Ok(Reply::Commit(Ok(vec![Ok(())]))),
            "{fault:?}"
        );
        assert_eq!(setup.offset().await, Some(3), "{fault:?}");
    }
}

#[tokio::test]
async fn another_coordinators_write_is_noticed() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (one, other) = (
        Setup::on(store.clone()).await,
        Setup::on(store.clone()).await,
    );
    let write = Commit {
        writes: vec![Write::Put {
            key: group_key("g"),
            value: bytes::Bytes::from_static(b"\x01\x01\0\0\0\x07\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
            place_at: None,
        }],
        ..Commit::default()
    };
    store.commit(write).await.expect("commits");
    assert_eq!(one.commit(1).await, Err(CoordinatorError::Lost));
    assert_eq!(
        one.commit(1).await,
        Ok(Reply::Commit(Ok(vec![Ok(())]))),
        "it has read the group"
    );
    assert_eq!(other.offset().await, None);
}

#[tokio::test]
async fn offsets_expire_when_nobody_asks() {
    let setup = Setup::on(Arc::new(MemoryStore::new())).await;
    setup.commit(1).await.expect("commits");
    setup.clock.advance(8 * 24 * 3_600_000);
    // The task looks at the clock when it is asked something.
    setup.commit(2).await.expect("commits");
    assert_eq!(setup.offset().await, Some(2), "it was committed anew");
    setup.clock.advance(8 * 24 * 3_600_000);
    let state = |groups: &Groups| groups.get("g").is_some();
    assert!(setup.coordinator.read(state).await.expect("answers"));
    assert!(
        !setup.coordinator.read(state).await.expect("answers"),
        "the group went with it"
    );
}

#[tokio::test]
async fn what_waits_ends_with_the_groups_session() {
    let setup = Setup::on(Arc::new(MemoryStore::new())).await;
    let join = |id: &str| {
        Command::Join(Box::new(crate::group::Join {
            member_id: Arc::from(id),
            instance_id: None,
            new_member_id: Arc::from("m"),
            client_id: Arc::from("c"),
            client_host: Arc::from("/h"),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: Arc::from("consumer"),
            protocols: Arc::from([crate::group::Protocol {
                name: Arc::from("range"),
                metadata: bytes::Bytes::new(),
            }]),
            reason: None,
            new_member: crate::group::NewMember::IdFirst,
            static_leader: crate::group::StaticLeader::Follows,
        }))
    };
    setup.coordinator.ask("g", join("")).await.expect("an id");
    let joined = setup
        .coordinator
        .ask("g", join("m"))
        .await
        .expect("the first generation");
    assert!(matches!(joined, Reply::Join(Ok(_))), "{joined:?}");
    setup.clock.advance(10_000);
    // Whatever is asked, timers that are due come first or with it.
    let state = |groups: &Groups| groups.describe("g").map(|group| group.state.name());
    setup.coordinator.read(state).await.expect("answers");
    let now = setup.coordinator.read(state).await.expect("answers");
    assert_eq!(now, Some("Empty"));
}
