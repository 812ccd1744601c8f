//! Rows: reads, the three kinds of write, versions and guards.

use std::sync::Arc;

use bytes::Bytes;
use ottla::store::{Commit, Key, Place, Space, Store, StoreError, Version, Write};

use super::{Case, append, cases, conflict, delete, done, key, put, relative, row, value, writes};

pub(crate) static CASES: &[Case] = cases![
    rows_are_read_in_the_order_asked_for_absent_ones_included,
    puts_appends_and_deletes_change_a_row,
    an_empty_value_is_a_value,
    every_space_has_its_own_keys,
    keys_and_values_of_every_size_are_kept,
    all_rows_of_a_commit_have_its_version_and_versions_grow,
    a_row_that_comes_back_has_a_new_version,
    guards_must_hold_one_and_all,
    a_conflict_changes_nothing_and_tells_every_guarded_row,
    an_empty_commit_is_done,
    malformed_commits_are_refused_and_change_nothing,
];

async fn rows_are_read_in_the_order_asked_for_absent_ones_included(store: Arc<dyn Store>) {
    let (version, blob) = done(&*store, writes([put("b", "2"), put("a", "1")])).await;
    assert_eq!(blob, None);
    let keys = [key("b"), key("nobody"), key("a"), key("b")];
    let rows = store.get(&keys).await.unwrap();
    let read: Vec<Key> = rows.iter().map(|row| row.key.clone()).collect();
    assert_eq!(read, keys);
    let versions = rows.iter().map(|row| row.version);
    let absent = Version::ABSENT;
    assert_eq!(
        versions.collect::<Vec<_>>(),
        [version, absent, version, version]
    );
    let values: Vec<Option<&[u8]>> = rows.iter().map(|row| row.value.as_deref()).collect();
    assert_eq!(values, [Some(&b"2"[..]), None, Some(b"1"), Some(b"2")]);
    assert!(store.get(&[]).await.unwrap().is_empty());
}

async fn puts_appends_and_deletes_change_a_row(store: Arc<dyn Store>) {
    let steps: [(Write, Option<&str>); 9] = [
        (delete("r"), None),
        (append("r", "abc"), Some("abc")),
        (append("r", "de"), Some("abcde")),
        (put("r", "x"), Some("x")),
        (append("r", ""), Some("x")),
        (append("r", "yz"), Some("xyz")),
        (delete("r"), None),
        (append("r", "new"), Some("new")),
        (put("r", ""), Some("")),
    ];
    for (write, expected) in steps {
        let what = format!("{write:?}");
        done(&*store, writes([write])).await;
        let read = value(&*store, "r").await;
        assert_eq!(read.as_deref(), expected.map(str::as_bytes), "{what}");
    }
}

async fn an_empty_value_is_a_value(store: Arc<dyn Store>) {
    let (version, _) = done(&*store, writes([put("empty", "")])).await;
    let read = row(&*store, "empty").await;
    assert_eq!((read.version, read.value), (version, Some(Bytes::new())));
}

async fn every_space_has_its_own_keys(store: Arc<dyn Store>) {
    let spaces: Vec<Space> = (1..=8).filter_map(Space::from_number).collect();
    let keys: Vec<Key> = spaces
        .iter()
        .map(|space| Key::new(*space, "same"))
        .collect();
    let puts = keys.iter().map(|key| Write::Put {
        key: key.clone(),
        value: vec![key.space as u8].into(),
        place_at: None,
    });
    done(&*store, writes(puts.collect::<Vec<_>>())).await;
    for (key, row) in keys.iter().zip(store.get(&keys).await.unwrap()) {
        assert_eq!(row.value.as_deref(), Some(&[key.space as u8][..]));
    }
}

async fn keys_and_values_of_every_size_are_kept(store: Arc<dyn Store>) {
    for key_len in [0, 1, 300, Key::SIZE_MAX - 1] {
        for value_len in [0, 1, 255, 4096, 70_000] {
            let key = Key::new(Space::Group, vec![0xff; key_len]);
            let value = super::pattern(value_len as u64, value_len);
            let put = Write::Put {
                key: key.clone(),
                value: value.clone(),
                place_at: None,
            };
            done(&*store, writes([put])).await;
            let rows = store.get(&[key]).await.unwrap();
            assert_eq!(
                rows[0].value.as_ref(),
                Some(&value),
                "{key_len} {value_len}"
            );
        }
    }
}

async fn all_rows_of_a_commit_have_its_version_and_versions_grow(store: Arc<dyn Store>) {
    let mut last = Version::ABSENT;
    for round in 0..20 {
        let changed = [
            put("a", "x"),
            append("b", "y"),
            append(&format!("c{round}"), "z"),
        ];
        let (version, _) = done(&*store, writes(changed)).await;
        assert!(version > last);
        for name in ["a", "b", &format!("c{round}")] {
            assert_eq!(row(&*store, name).await.version, version);
        }
        last = version;
    }
    assert!(row(&*store, "c3").await.version < last);
}

async fn a_row_that_comes_back_has_a_new_version(store: Arc<dyn Store>) {
    let (first, _) = done(&*store, writes([put("r", "1")])).await;
    done(&*store, writes([delete("r")])).await;
    assert_eq!(row(&*store, "r").await.version, Version::ABSENT);
    let (second, _) = done(&*store, writes([put("r", "1")])).await;
    assert!(second > first);
    let late = Commit {
        guards: vec![(key("r"), first)],
        ..writes([put("r", "late")])
    };
    assert_eq!(conflict(&*store, late).await[0].version, second);
}

async fn guards_must_hold_one_and_all(store: Arc<dyn Store>) {
    let (a, _) = done(&*store, writes([put("a", "1")])).await;
    let (b, _) = done(&*store, writes([put("b", "1")])).await;
    let absent = Version::ABSENT;
    let tries = [
        (vec![("a", a), ("b", b), ("no", absent)], true),
        (vec![("a", a), ("a", a)], true),
        (vec![("a", b)], false),
        (vec![("a", absent)], false),
        (vec![("no", a)], false),
        (vec![("a", a), ("b", a)], false),
        (vec![("a", Version(u64::MAX))], false),
    ];
    for (guards, holds) in tries {
        let what = format!("{guards:?}");
        let guards = guards
            .into_iter()
            .map(|(name, version)| (key(name), version));
        let commit = Commit {
            guards: guards.collect(),
            ..writes([append("log", "+")])
        };
        let before = value(&*store, "log").await.map_or(0, |log| log.len());
        if holds {
            done(&*store, commit).await;
        } else {
            conflict(&*store, commit).await;
        }
        let after = value(&*store, "log").await.map_or(0, |log| log.len());
        assert_eq!(after, before + usize::from(holds), "{what}");
    }
}

async fn a_conflict_changes_nothing_and_tells_every_guarded_row(store: Arc<dyn Store>) {
    let (version, _) = done(&*store, writes([put("a", "old"), put("b", "gone")])).await;
    done(&*store, writes([delete("b")])).await;
    let commit = Commit {
        guards: vec![
            (key("a"), version),
            (key("b"), version),
            (key("never"), Version::ABSENT),
        ],
        writes: vec![
            put("a", "new"),
            Write::Append {
                key: key("placed"),
                bytes: relative(0),
                place_at: Some(0),
            },
        ],
        body: vec![Bytes::from_static(b"body of a commit that is not made")],
    };
    let rows = conflict(&*store, commit).await;
    assert_eq!(
        rows,
        store
            .get(&[key("a"), key("b"), key("never")])
            .await
            .unwrap()
    );
    assert_eq!(rows[0].value.as_deref(), Some(&b"old"[..]));
    assert_eq!(rows[1].version, Version::ABSENT);
    assert_eq!(value(&*store, "a").await.as_deref(), Some(&b"old"[..]));
    assert_eq!(value(&*store, "placed").await, None);
}

async fn an_empty_commit_is_done(store: Arc<dyn Store>) {
    let (_, blob) = done(&*store, Commit::default()).await;
    assert_eq!(blob, None);
    let guard_only = Commit {
        guards: vec![(key("a"), Version::ABSENT)],
        ..Commit::default()
    };
    done(&*store, guard_only).await;
    let empty_body = Commit {
        body: vec![Bytes::new()],
        ..writes([put("a", "1")])
    };
    assert_eq!(done(&*store, empty_body).await.1, None);
}

async fn malformed_commits_are_refused_and_change_nothing(store: Arc<dyn Store>) {
    let placed = |len: usize, at: u32, body: &'static str| Commit {
        writes: vec![
            put("other", "x"),
            Write::Put {
                key: key("bad"),
                value: vec![0; len].into(),
                place_at: Some(at),
            },
        ],
        body: vec![Bytes::from_static(body.as_bytes())],
        ..Commit::default()
    };
    let long = Write::Put {
        key: Key::new(Space::Cluster, vec![1; Key::SIZE_MAX]),
        value: Bytes::new(),
        place_at: None,
    };
    let malformed = [
        (
            "two writes of one key",
            writes([put("bad", "1"), delete("bad")]),
        ),
        ("a place without a body", placed(Place::SIZE, 0, "")),
        ("a place past the end", placed(Place::SIZE, 1, "body")),
        (
            "a place far past the end",
            placed(Place::SIZE, u32::MAX, "body"),
        ),
        ("a value without room", placed(3, 0, "body")),
        ("a long key", writes([put("other", "x"), long])),
    ];
    for (what, commit) in malformed {
        let refused = store.commit(commit).await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable { .. })),
            "{what}: {refused:?}"
        );
        assert_eq!(value(&*store, "other").await, None, "{what}");
        assert_eq!(value(&*store, "bad").await, None, "{what}");
    }
    done(&*store, writes([put("other", "still works")])).await;
}
