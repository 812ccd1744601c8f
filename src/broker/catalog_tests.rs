//! The catalog over the memory engine: what survives a restart, and what two brokers do to one store.

use std::collections::BTreeSet;

use super::*;
use crate::base::PartitionNumber;
use crate::cluster::{AlterOp, Change, Resource};
use crate::store::fault::{FAULTS, Fault, FaultStore};
use crate::store::memory::MemoryStore;
use crate::store::{Commit, Write};

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

async fn load(store: &Arc<dyn Store>) -> Catalog {
    let config = Arc::new(Config::default());
    Catalog::load(store.clone(), config).await.expect("loads")
}

fn plain(name: &str, partitions: i32) -> CreateTopic {
    CreateTopic {
        name: name.to_owned(),
        partitions,
        replication_factor: -1,
        ..CreateTopic::default()
    }
}

fn named(name: &str) -> DeleteTopic {
    DeleteTopic {
        name: Some(name.to_owned()),
        id: None,
    }
}

async fn create(catalog: &Catalog, request: CreateTopic) -> Result<Arc<Topic>, CreateError> {
    let created = catalog.create(vec![request], CreateMode::Create).await;
    created.expect("commits").remove(0)
}

#[tokio::test]
async fn topics_survive_a_restart_and_the_cluster_id_stays() {
    let store = memory();
    let first = load(&store).await;
    let request = CreateTopic {
        configs: vec![("retention.ms".to_owned(), Some("1000".to_owned()))],
        ..plain("orders", 3)
    };
    let topic = create(&first, request).await.expect("created");
    assert_eq!(first.topics().by_name("orders"), Some(&topic));

    let second = load(&store).await;
    assert_eq!(second.topics().by_name("orders"), Some(&topic));
    assert_eq!(second.topics().by_id(topic.id), Some(&topic));
    assert_eq!(second.cluster_id(), first.cluster_id());
    assert_eq!(second.cluster_id().len(), 22);
    assert_eq!(
        topic.overrides.get("retention.ms").map(String::as_str),
        Some("1000")
    );
}

#[tokio::test]
async fn a_topic_created_again_shares_nothing_with_the_deleted_one() {
    let store = memory();
    let catalog = load(&store).await;
    let old = create(&catalog, plain("t", 2)).await.expect("created");
    let deleted = catalog.delete(vec![named("t")]).await.expect("commits");
    assert_eq!(deleted, [Ok(old.clone())]);
    assert!(catalog.topics().is_empty());
    assert!(load(&store).await.topics().is_empty());

    let new = create(&catalog, plain("t", 2)).await.expect("created");
    assert_ne!(new.id, old.id);
    assert_eq!(new.partitions, [PartitionNumber(2), PartitionNumber(3)]);
    let again = catalog.delete(vec![DeleteTopic {
        name: None,
        id: Some(old.id),
    }]);
    assert_eq!(again.await.expect("answers"), [Err(DeleteError::UnknownId)]);
}

#[tokio::test]
async fn validate_only_creates_nothing() {
    let store = memory();
    let catalog = load(&store).await;
    let outcomes = catalog
        .create(
            vec![plain("t", 2), plain("..", 1)],
            CreateMode::ValidateOnly,
        )
        .await
        .expect("answers");
    assert!(outcomes[0].is_ok() && outcomes[1].is_err());
    assert!(catalog.topics().is_empty() && load(&store).await.topics().is_empty());
}

fn grown(name: &str, count: i32) -> GrowTopic {
    GrowTopic {
        name: name.to_owned(),
        count,
        assignments: None,
    }
}

/// Sets `retention.ms` on a topic and `message.max.bytes` for all brokers.
fn settings(value: &str) -> Vec<AlterConfig> {
    let set = |resource, key: &str| AlterConfig {
        resource,
        change: Change::Incremental(vec![(key.to_owned(), AlterOp::Set(value.to_owned()))]),
    };
    vec![
        set(Resource::Topic("t".to_owned()), "retention.ms"),
        set(Resource::Broker(None), "message.max.bytes"),
    ]
}

/// Settings are in effect exactly where they are stored, whatever becomes of the commit.
#[tokio::test]
async fn settings_change_whatever_becomes_of_the_commit() {
    for fault in FAULTS {
        let faulty = FaultStore::new();
        let store: Arc<dyn Store> = faulty.clone();
        let (one, two) = (load(&store).await, load(&store).await);
        create(&one, plain("t", 2)).await.expect("created");
        let seen = |catalog: &Catalog| {
            let topic = catalog.topics().by_name("t").cloned().expect("there");
            let inherited = catalog.config().get(keys::MESSAGE_MAX_BYTES);
            assert_eq!(topic.config.max_message_bytes, inherited);
            (topic.config.retention_ms, inherited)
        };
        let before = seen(&one);
        let checked = one.alter(settings("7"), CreateMode::ValidateOnly).await;
        assert!(checked.expect("answers").iter().all(Result::is_ok));
        assert_eq!(seen(&one), before, "nothing happened");
        faulty.fail_after(0, fault);
        match (fault, one.alter(settings("7"), CreateMode::Create).await) {
            (Fault::Unavailable, Err(CatalogError::Store(_))) => assert_eq!(seen(&one), before),
            (Fault::Lost | Fault::Unheard, Ok(outcomes)) => {
                assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
                assert_eq!(seen(&one), (7, 7));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(seen(&load(&store).await), seen(&one), "{fault:?}");
        // The second broker has not heard of it, nor of the topic.
        let later = two.alter(settings("9"), CreateMode::Create).await;
        let later = later.expect("answers");
        assert!(matches!(later[0], Err(AlterError::UnknownTopic(_))) || later[0].is_ok());
        assert_eq!(load(&store).await.config().get(keys::MESSAGE_MAX_BYTES), 9);
    }
}

/// The second broker's snapshot is old, and a commit may fail in each way.
#[tokio::test]
async fn a_topic_grows_whatever_becomes_of_the_commit() {
    let mut numbers = BTreeSet::new();
    for fault in FAULTS {
        let faulty = FaultStore::new();
        let store: Arc<dyn Store> = faulty.clone();
        let (one, two) = (load(&store).await, load(&store).await);
        let topic = create(&one, plain("t", 2)).await.expect("created");
        create(&two, plain("u", 2)).await.expect("created");
        let only_asked = one.grow(vec![grown("t", 3)], CreateMode::ValidateOnly);
        assert_eq!(
            only_asked.await.expect("answers")[0]
                .as_ref()
                .map(|t| t.partitions.len()),
            Ok(3)
        );
        assert_eq!(one.topics().by_name("t"), Some(&topic), "nothing happened");

        faulty.fail_after(0, fault);
        match (
            fault,
            two.grow(vec![grown("t", 4)], CreateMode::Create).await,
        ) {
            (Fault::Unavailable, Err(CatalogError::Store(_))) => {
                assert_eq!(two.topics().by_name("t"), Some(&topic));
            }
            (Fault::Lost | Fault::Unheard, Ok(outcomes)) => {
                let grown = outcomes[0].as_ref().expect("grown, not \"already has\"");
                assert_eq!(two.topics().by_name("t"), Some(grown));
                assert_eq!((grown.id, grown.partitions.len()), (topic.id, 4));
            }
            other => panic!("{other:?}"),
        }
        let wider = one.grow(vec![grown("t", 6)], CreateMode::Create).await;
        let wider = wider.expect("commits")[0].clone().expect("grows");
        assert_eq!(load(&store).await.topics().by_name("t"), Some(&wider));
        let all = load(&store).await.topics();
        numbers.extend(all.iter().flat_map(|topic| topic.partitions.clone()));
        assert_eq!(numbers.len(), 8, "no partition number twice");
        numbers.clear();
    }
}

/// The second broker's snapshot is old in each step: its commit conflicts, and it decides anew.
#[tokio::test]
async fn two_brokers_on_one_store_agree() {
    let store = memory();
    let (one, two) = (load(&store).await, load(&store).await);
    let a = create(&one, plain("a", 2)).await.expect("created");
    let b = create(&two, plain("b", 2)).await.expect("created");
    let numbers: BTreeSet<_> = a.partitions.iter().chain(&b.partitions).collect();
    assert_eq!(numbers.len(), 4, "no partition number twice");
    assert_eq!(two.topics().len(), 2, "it has read what the other did");

    let taken = create(&one, plain("b", 1)).await;
    assert_eq!(taken, Err(CreateError::Exists("b".to_owned())));
    assert_eq!(
        two.delete(vec![named("a")]).await.expect("commits"),
        [Ok(a)]
    );
    let gone = one.delete(vec![named("a")]).await.expect("answers");
    assert_eq!(gone, [Err(DeleteError::UnknownName)]);
    let collides = create(&one, plain("c.d", 1)).await;
    assert!(collides.is_ok());
    let collides = create(&two, plain("c_d", 1)).await;
    assert!(matches!(collides, Err(CreateError::Collision { .. })));
}

#[tokio::test]
async fn deleting_leaves_a_trim_row_and_says_so() {
    let store = memory();
    let catalog = load(&store).await;
    let topic = create(&catalog, plain("t", 3)).await.expect("created");
    catalog.delete(vec![named("t")]).await.expect("commits");
    catalog.trim_due().await;
    let mut trims = Vec::new();
    scan(store.as_ref(), cluster::trim_rows(), |row, value| {
        trims.push(cluster::decode_trim(&row.key, &value)?);
        Ok(())
    })
    .await
    .expect("scans");
    assert_eq!(trims.len(), 1);
    let subject = cluster::TrimSubject::Topic {
        id: topic.id,
        name: "t".to_owned(),
        partitions: topic.partitions.clone(),
    };
    assert_eq!(trims[0].subject, subject);
}

#[tokio::test]
async fn watchers_see_each_change_and_old_snapshots_stay_as_they_were() {
    let catalog = load(&memory()).await;
    let mut watch = catalog.watch();
    watch.mark_unchanged();
    let before = catalog.topics();
    create(&catalog, plain("t", 1)).await.expect("created");
    watch.changed().await.expect("the catalog is there");
    assert_eq!(watch.borrow_and_update().len(), 1);
    assert!(before.is_empty());
}

#[tokio::test]
async fn thousands_of_topics_load_in_many_steps() {
    let store = memory();
    let catalog = load(&store).await;
    let requests = (0..2_500).map(|n| plain(&format!("topic-{n}"), 1));
    let outcomes = catalog.create(requests.collect(), CreateMode::Create).await;
    assert!(outcomes.expect("commits").iter().all(Result::is_ok));
    let loaded = load(&store).await.topics();
    assert_eq!(loaded.len(), 2_500);
    let numbers: BTreeSet<_> = loaded.iter().flat_map(|topic| &topic.partitions).collect();
    assert_eq!(numbers.len(), 2_500);
}

#[tokio::test]
async fn a_closed_store_refuses_and_changes_nothing() {
    let store = memory();
    let catalog = load(&store).await;
    store.close().await.expect("closes");
    let refused = catalog
        .create(vec![plain("t", 1)], CreateMode::Create)
        .await;
    assert_eq!(refused, Err(CatalogError::Store(StoreError::Closed)));
    assert!(catalog.topics().is_empty());
}

#[tokio::test]
async fn a_cluster_id_is_taken_from_the_configuration_and_then_held_to() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::of_cluster("first".to_owned()));
    let asked = |id: &str| {
        let config = Config::from_pairs([("ottla.cluster.id", id)]).expect("valid");
        Catalog::load(store.clone(), Arc::new(config))
    };
    assert_eq!(asked("first").await.expect("loads").cluster_id(), "first");
    assert_eq!(load(&store).await.cluster_id(), "first");
    let refused = asked("second").await.map(|_| ());
    assert!(matches!(refused, Err(CatalogError::ClusterId { .. })));

    // What clients have seen counts, where it was noted in a row.
    let old = Write::Put {
        key: cluster::facts_key(),
        value: Bytes::from_static(b"\x01\0\0\0\x03old"),
        place_at: None,
    };
    let commit = Commit {
        writes: vec![old],
        ..Commit::default()
    };
    store.commit(commit).await.expect("commits");
    assert_eq!(load(&store).await.cluster_id(), "old");
    assert_eq!(asked("old").await.expect("loads").cluster_id(), "old");
    assert!(asked("first").await.is_err());
}

/// Whatever becomes of the one commit: the answer is right, and so is what the next start reads.
#[tokio::test]
async fn a_commit_that_fails_leaves_answer_and_store_in_agreement() {
    for fault in FAULTS {
        let faulty = FaultStore::new();
        let store: Arc<dyn Store> = faulty.clone();
        let catalog = load(&store).await;
        faulty.fail_after(0, fault);
        let created = catalog
            .create(vec![plain("t", 2)], CreateMode::Create)
            .await;
        match (fault, created) {
            (Fault::Unavailable, Err(CatalogError::Store(StoreError::Unavailable { .. }))) => {
                assert!(catalog.topics().is_empty());
                assert!(
                    create(&catalog, plain("t", 2)).await.is_ok(),
                    "later it works"
                );
            }
            (Fault::Lost | Fault::Unheard, Ok(outcomes)) => {
                let topic = outcomes[0].as_ref().expect("created, not \"exists\"");
                assert_eq!(catalog.topics().by_name("t"), Some(topic));
            }
            other => panic!("{other:?}"),
        }
        let topic = load(&store).await.topics().by_name("t").cloned();
        assert_eq!(topic, catalog.topics().by_name("t").cloned(), "{fault:?}");

        faulty.fail_after(0, fault);
        let deleted = catalog.delete(vec![named("t")]).await;
        match (fault, deleted) {
            (Fault::Unavailable, Err(CatalogError::Store(_))) => {
                assert_eq!(catalog.topics().len(), 1);
            }
            (Fault::Lost | Fault::Unheard, Ok(outcomes)) => {
                assert!(outcomes[0].is_ok(), "deleted, not \"unknown\"");
                assert!(catalog.topics().is_empty());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(
            load(&store).await.topics().len(),
            catalog.topics().len(),
            "{fault:?}"
        );
    }
}
