//! Commits that are made at the same time, futures that are dropped, and the end.

use std::sync::Arc;

use bytes::Bytes;
use ottla::store::{Commit, KeyRange, Limit, Order, Outcome, Space, Store, StoreError, Version};

use super::{Case, append, cases, conflict, done, key, put, row, value, writes};

pub(crate) static CASES: &[Case] = cases![
    commits_take_effect_in_the_order_of_their_calls,
    a_commit_whose_future_is_dropped_takes_effect,
    commits_of_one_row_made_together_have_versions_of_their_own,
    guards_see_commits_that_were_called_before,
    counters_raised_by_many_tasks_lose_nothing,
    a_read_sees_what_returned_before_it,
    a_closed_store_refuses_everything,
];

async fn commits_take_effect_in_the_order_of_their_calls(store: Arc<dyn Store>) {
    let commits: Vec<_> = (0..200_u8)
        .map(|number| store.commit(writes([append("log", vec![number])])))
        .collect();
    let mut versions = Vec::new();
    for commit in commits.into_iter().rev() {
        match commit.await.unwrap() {
            Outcome::Done { version, .. } => versions.push(version),
            Outcome::Conflict(rows) => panic!("no guard, no conflict: {rows:?}"),
        }
    }
    assert!(versions.iter().rev().is_sorted());
    let log = value(&*store, "log").await.unwrap();
    assert_eq!(log, (0..200).collect::<Vec<u8>>());
}

async fn a_commit_whose_future_is_dropped_takes_effect(store: Arc<dyn Store>) {
    drop(store.commit(writes([put("dropped", "1")])));
    let mut polled = store.commit(writes([append("dropped", "2")]));
    let nothing = std::future::poll_fn(|context| {
        let _ = polled.as_mut().poll(context);
        std::task::Poll::Ready(())
    });
    nothing.await;
    drop(polled);
    done(&*store, writes([append("dropped", "3")])).await;
    assert_eq!(value(&*store, "dropped").await.unwrap(), "123");
}

async fn commits_of_one_row_made_together_have_versions_of_their_own(store: Arc<dyn Store>) {
    let commits: Vec<_> = (0..20_u8)
        .map(|number| store.commit(writes([append("shared", vec![number])])))
        .collect();
    let mut versions = Vec::new();
    for commit in commits {
        if let Outcome::Done { version, .. } = commit.await.unwrap() {
            versions.push(version);
        }
    }
    assert_eq!(versions.len(), 20);
    assert!(
        versions.is_sorted_by(|a, b| a < b),
        "a version was used twice: {versions:?}"
    );
    let last = row(&*store, "shared").await;
    assert_eq!(Some(&last.version), versions.last());
    let late = Commit {
        guards: vec![(key("shared"), versions[18])],
        ..writes([put("shared", "lost update")])
    };
    assert_eq!(conflict(&*store, late).await, [last]);
}

async fn guards_see_commits_that_were_called_before(store: Arc<dyn Store>) {
    let create = |value: &'static str| Commit {
        guards: vec![(key("once"), Version::ABSENT)],
        ..writes([put("once", value)])
    };
    let commits: Vec<_> = ["first", "second", "third"]
        .map(|value| store.commit(create(value)))
        .into();
    let mut outcomes = Vec::new();
    for commit in commits {
        outcomes.push(commit.await.unwrap());
    }
    let Outcome::Done { version, .. } = outcomes[0] else {
        panic!("the first call comes first: {outcomes:?}");
    };
    for outcome in &outcomes[1..] {
        let Outcome::Conflict(rows) = outcome else {
            panic!("only one can create the row: {outcomes:?}");
        };
        assert_eq!(
            (rows[0].version, rows[0].value.as_deref()),
            (version, Some(&b"first"[..]))
        );
    }
}

async fn counters_raised_by_many_tasks_lose_nothing(store: Arc<dyn Store>) {
    const TASKS: u64 = 8;
    const RAISES: u64 = 40;
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            for _ in 0..RAISES {
                raise(&*store, &format!("counter{}", task % 2)).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for name in ["counter0", "counter1"] {
        let count = value(&*store, name).await.unwrap();
        assert_eq!(count[..], (TASKS / 2 * RAISES).to_be_bytes(), "{name}");
    }
}

/// Adds one to a counter as the last conflict, if any, told it.
async fn raise(store: &dyn Store, name: &str) {
    let mut known = row(store, name).await;
    loop {
        let count = known.value.as_deref().map_or(0, |value| {
            u64::from_be_bytes(value.try_into().expect("counters are 8 bytes"))
        });
        let commit = Commit {
            guards: vec![(key(name), known.version)],
            ..writes([put(name, (count + 1).to_be_bytes().to_vec())])
        };
        match store.commit(commit).await.expect("the store is well") {
            Outcome::Done { .. } => return,
            Outcome::Conflict(mut rows) => known = rows.remove(0),
        }
    }
}

async fn a_read_sees_what_returned_before_it(store: Arc<dyn Store>) {
    let mut tasks = Vec::new();
    for task in 0..4_u32 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let name = format!("own{task}");
            for round in 0..50_u32 {
                let bytes = round.to_be_bytes().to_vec();
                let (version, _) = done(&*store, writes([put(&name, bytes.clone())])).await;
                let read = row(&*store, &name).await;
                assert_eq!((read.version, read.value), (version, Some(bytes.into())));
                let limit = Limit { rows: 1, bytes: 1 };
                let range = KeyRange::prefix(Space::Cluster, name.clone());
                let scanned = store.scan(range, Order::Ascending, limit).await.unwrap();
                assert_eq!(scanned[0].version, version);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

async fn a_closed_store_refuses_everything(store: Arc<dyn Store>) {
    let last = store.commit(Commit {
        body: vec![Bytes::from_static(b"body")],
        ..writes([put("last", "1")])
    });
    store.close().await.unwrap();
    assert!(matches!(last.await, Ok(Outcome::Done { .. })));
    store.close().await.expect("closing twice is no error");
    let closed = StoreError::Closed;
    let limit = Limit { rows: 1, bytes: 1 };
    let scan = store.scan(KeyRange::all(Space::Run), Order::Ascending, limit);
    assert_eq!(scan.await, Err(closed.clone()));
    assert_eq!(store.get(&[key("last")]).await, Err(closed.clone()));
    assert_eq!(store.commit(Commit::default()).await, Err(closed.clone()));
    assert_eq!(store.blobs().await, Err(closed.clone()));
    let name = ottla::store::BlobName(1);
    assert_eq!(store.read(name, &[0..1]).await, Err(closed.clone()));
    assert_eq!(store.placed_keys(name).await, Err(closed.clone()));
    assert_eq!(store.delete(&[name]).await, Err(closed));
}
