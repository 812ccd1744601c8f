//! Bodies, places, and blobs that are given back.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use ottla::store::{BlobName, Commit, Key, Place, Store, StoreError, Write};

use super::{Case, cases, delete, done, key, pattern, put, read_placed, relative, value, writes};

pub(crate) static CASES: &[Case] = cases![
    places_are_made_absolute_and_read_back,
    bodies_of_many_parts_are_read_in_any_ranges,
    bodies_of_every_size_are_kept,
    appended_places_each_keep_their_own_body,
    blobs_are_listed_and_know_their_placed_keys,
    a_blob_that_is_written_is_not_deleted,
    a_deleted_blob_is_missing_and_its_name_is_not_used_again,
    bytes_that_were_read_outlive_their_blob,
    reading_past_the_end_is_an_error,
];

fn placed(name: &str, position: u64) -> Write {
    Write::Put {
        key: key(name),
        value: relative(position),
        place_at: Some(0),
    }
}

async fn places_are_made_absolute_and_read_back(store: Arc<dyn Store>) {
    let body = pattern(1, 1000);
    for round in 0..3 {
        let framed = [b"before".as_slice(), &relative(700), b"after"].concat();
        let commit = Commit {
            writes: vec![
                placed("first", 0),
                placed("last", 999),
                Write::Put {
                    key: key("framed"),
                    value: framed.into(),
                    place_at: Some(6),
                },
                Write::Put {
                    key: key("not a place"),
                    value: relative(0),
                    place_at: None,
                },
            ],
            body: vec![body.clone()],
            ..Commit::default()
        };
        let (_, blob) = done(&*store, commit).await;
        let blob = blob.expect("a commit with a body has a place");
        assert_ne!(blob.blob, BlobName(0));
        let at = |position| {
            let position = blob.position + position;
            Place { position, ..blob }.encode()
        };
        assert_eq!(
            value(&*store, "first").await.unwrap()[..],
            at(0),
            "round {round}"
        );
        assert_eq!(value(&*store, "last").await.unwrap()[..], at(999));
        let framed = [b"before".as_slice(), &at(700), b"after"].concat();
        assert_eq!(value(&*store, "framed").await.unwrap(), framed);
        assert_eq!(value(&*store, "not a place").await.unwrap(), relative(0));
        assert_eq!(read_placed(&*store, "first", 1000).await, body);
        assert_eq!(read_placed(&*store, "last", 1).await, body[999..]);
    }
}

async fn bodies_of_many_parts_are_read_in_any_ranges(store: Arc<dyn Store>) {
    let whole = pattern(2, 20_000);
    let cuts = [0, 1, 1, 4095, 4096, 4097, 13_000, 20_000];
    let parts = cuts.windows(2).map(|ends| whole.slice(ends[0]..ends[1]));
    let commit = Commit {
        body: parts.collect(),
        ..writes([placed("r", 0)])
    };
    let (_, blob) = done(&*store, commit).await;
    let Place { blob, position } = blob.expect("a commit with a body has a place");
    let ranges = [
        0..20_000,
        0..1,
        0..2,
        4090..4100,
        1..1,
        19_999..20_000,
        4096..4097,
        5000..14_000,
        100..200,
    ];
    let absolute = ranges.clone().map(|r| position + r.start..position + r.end);
    let read = store.read(blob, &absolute).await.unwrap();
    assert_eq!(read.len(), ranges.len());
    for (range, bytes) in ranges.into_iter().zip(read) {
        let expected = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert!(bytes == whole[expected], "{range:?}");
    }
    assert!(store.read(blob, &[]).await.unwrap().is_empty());
}

async fn bodies_of_every_size_are_kept(store: Arc<dyn Store>) {
    let sizes = [1, 511, 4096, 65_535, 65_536, 1 << 20, (9 << 20) + 7, 3];
    for (number, size) in (0..).zip(sizes) {
        let commit = Commit {
            body: vec![pattern(number, size)],
            ..writes([placed(&format!("r{number}"), 0)])
        };
        done(&*store, commit).await;
    }
    for (number, size) in (0..).zip(sizes) {
        let read = read_placed(&*store, &format!("r{number}"), size as u64).await;
        assert!(read == pattern(number, size), "{size} bytes");
    }
}

async fn appended_places_each_keep_their_own_body(store: Arc<dyn Store>) {
    for number in 0..50 {
        let commit = Commit {
            writes: vec![Write::Append {
                key: key("page"),
                bytes: relative(10),
                place_at: Some(0),
            }],
            body: vec![pattern(number, 10), pattern(1000 + number, 90)],
            ..Commit::default()
        };
        done(&*store, commit).await;
    }
    let page = value(&*store, "page").await.unwrap();
    assert_eq!(page.len(), 50 * Place::SIZE);
    for (number, place) in (0..).zip(page.chunks(Place::SIZE)) {
        let Place { blob, position } = Place::decode(place.try_into().unwrap());
        let read = store.read(blob, &[position..position + 90]).await.unwrap();
        assert_eq!(read[0], pattern(1000 + number, 90));
    }
}

async fn blobs_are_listed_and_know_their_placed_keys(store: Arc<dyn Store>) {
    let body = || vec![Bytes::from_static(b"body")];
    let mut commit = writes([placed("a", 0), put("unplaced", "x")]);
    commit.body = body();
    let (_, place) = done(&*store, commit).await;
    let place = place.expect("a commit with a body has a place");
    for names in [["a", "b"], ["b", "a"]] {
        let mut commit = writes(names.map(|name| placed(name, 0)));
        commit.body = body();
        done(&*store, commit).await;
    }
    done(&*store, writes([delete("b")])).await;
    let blobs = store.blobs().await.unwrap();
    assert!(blobs.is_sorted_by_key(|blob| blob.name));
    let info = blobs.iter().find(|info| info.name == place.blob);
    assert!(info.expect("the blob is listed").size >= place.position + 4);
    let mut keys: Vec<Key> = Vec::new();
    for blob in blobs {
        let placed = store.placed_keys(blob.name).await.unwrap();
        let distinct: BTreeSet<&Key> = placed.iter().collect();
        assert_eq!(distinct.len(), placed.len(), "{placed:?}");
        keys.extend(placed);
    }
    assert!(keys.contains(&key("a")) && keys.contains(&key("b")));
    assert!(!keys.contains(&key("unplaced")));
}

/// Writes bodies until a blob with a body in it is closed: its name, and a place in it.
async fn closed_blob(store: &dyn Store) -> Place {
    let body = pattern(3, 1 << 20);
    let mut first = None;
    for _ in 0..600 {
        let commit = Commit {
            body: vec![body.clone()],
            ..writes([placed("filler", 0)])
        };
        let (_, place) = done(store, commit).await;
        let place = *first.get_or_insert(place.expect("a commit with a body has a place"));
        let blobs = store.blobs().await.unwrap();
        if blobs
            .iter()
            .any(|info| info.name == place.blob && info.closed)
        {
            return place;
        }
    }
    panic!("no blob is closed after 600 MiB");
}

async fn a_blob_that_is_written_is_not_deleted(store: Arc<dyn Store>) {
    let closed = closed_blob(&*store).await;
    let commit = Commit {
        body: vec![Bytes::from_static(b"kept")],
        ..writes([placed("r", 0)])
    };
    let (_, place) = done(&*store, commit).await;
    let open = place.expect("a commit with a body has a place").blob;
    let infos = store.blobs().await.unwrap();
    if infos.iter().any(|info| info.name == open && !info.closed) {
        let refused = store.delete(&[closed.blob, open]).await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(read_placed(&*store, "r", 4).await, "kept");
    let range = closed.position..closed.position + 8;
    assert_eq!(
        store.read(closed.blob, &[range]).await.unwrap()[0],
        pattern(3, 8)
    );
}

async fn a_deleted_blob_is_missing_and_its_name_is_not_used_again(store: Arc<dyn Store>) {
    let mut used = BTreeSet::new();
    for _ in 0..4 {
        let place = closed_blob(&*store).await;
        assert!(used.insert(place.blob), "{:?} was used before", place.blob);
        done(&*store, writes([delete("filler")])).await;
        store.delete(&[place.blob]).await.unwrap();
        let missing = Err(StoreError::Missing(place.blob));
        assert_eq!(store.read(place.blob, &[0..1]).await, missing);
        assert_eq!(
            store.placed_keys(place.blob).await.map(|_| ()),
            missing.map(|_| ())
        );
        let left = store.blobs().await.unwrap();
        assert!(left.iter().all(|info| info.name != place.blob));
        store.delete(&[place.blob]).await.expect("gone is gone");
    }
    let never = BlobName(u64::MAX);
    assert_eq!(
        store.read(never, &[0..1]).await,
        Err(StoreError::Missing(never))
    );
    store.delete(&[never]).await.expect("gone is gone");
    store.delete(&[]).await.expect("nothing to do");
}

async fn bytes_that_were_read_outlive_their_blob(store: Arc<dyn Store>) {
    let place = closed_blob(&*store).await;
    let range = place.position..place.position + (1 << 20);
    let read = store.read(place.blob, &[range]).await.unwrap();
    done(&*store, writes([delete("filler")])).await;
    store.delete(&[place.blob]).await.unwrap();
    for _ in 0..3 {
        closed_blob(&*store).await;
    }
    assert!(read[0] == pattern(3, 1 << 20));
}

async fn reading_past_the_end_is_an_error(store: Arc<dyn Store>) {
    let place = closed_blob(&*store).await;
    let far = u64::MAX - 4096;
    for range in [far..far + 1, place.position..far, 0..u64::MAX] {
        let read = store.read(place.blob, std::slice::from_ref(&range)).await;
        assert!(
            matches!(read, Err(StoreError::Corrupt { .. })),
            "{range:?}: {read:?}"
        );
    }
}
