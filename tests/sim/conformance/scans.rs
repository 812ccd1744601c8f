//! Scans: ranges, both orders, limits, and rows that come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla::base::Rng;
use ottla::store::{Key, KeyRange, Limit, Order, Row, Space, Store, Write};

use super::{Case, cases, done, writes};

pub(crate) static CASES: &[Case] = cases![
    a_scan_returns_the_rows_of_its_range_and_space,
    a_scan_stops_at_its_limits_but_returns_one_row,
    pages_of_a_scan_tile_many_rows_in_either_order,
    scans_agree_with_a_plain_map_while_rows_come_and_go,
];

const NO_LIMIT: Limit = Limit {
    rows: usize::MAX,
    bytes: usize::MAX,
};

fn run(bytes: &[u8]) -> Key {
    Key::new(Space::Run, bytes.to_vec())
}

fn put(key: Key, value: impl Into<Bytes>) -> Write {
    Write::Put {
        key,
        value: value.into(),
        place_at: None,
    }
}

fn range(start: &[u8], end: Option<&[u8]>) -> KeyRange {
    KeyRange {
        space: Space::Run,
        start: Bytes::copy_from_slice(start),
        end: end.map(Bytes::copy_from_slice),
    }
}

async fn keys(store: &dyn Store, range: KeyRange, order: Order) -> Vec<Vec<u8>> {
    let rows = store.scan(range, order, NO_LIMIT).await.unwrap();
    rows.iter().map(|row| row.key.bytes.to_vec()).collect()
}

async fn a_scan_returns_the_rows_of_its_range_and_space(store: Arc<dyn Store>) {
    let all: [&[u8]; 7] = [b"", b"\x00", b"a", b"a\x00", b"ab", b"b", b"\xff\xff"];
    let mut puts: Vec<Write> = all.iter().map(|bytes| put(run(bytes), "v")).collect();
    puts.push(put(Key::new(Space::Head, &b"\xff"[..]), "below"));
    puts.push(put(Key::new(Space::Producer, &b""[..]), "above"));
    puts.push(put(Key::new(Space::Cluster, &b"\xff"[..]), "last"));
    done(&*store, writes(puts)).await;
    let tries: [(KeyRange, &[&[u8]]); 9] = [
        (KeyRange::all(Space::Run), &all),
        (range(b"a", Some(b"b")), &[b"a", b"a\x00", b"ab"]),
        (range(b"a\x00", Some(b"ab")), &[b"a\x00"]),
        (range(b"b", None), &[b"b", b"\xff\xff"]),
        (range(b"a", Some(b"a")), &[]),
        (range(b"b", Some(b"a")), &[]),
        (range(b"c", Some(b"d")), &[]),
        (KeyRange::prefix(Space::Run, "a"), &[b"a", b"a\x00", b"ab"]),
        (KeyRange::prefix(Space::Run, &b"\xff"[..]), &[b"\xff\xff"]),
    ];
    for (range, expected) in tries {
        let mut expected: Vec<Vec<u8>> = expected.iter().map(|key| key.to_vec()).collect();
        let up = keys(&*store, range.clone(), Order::Ascending).await;
        assert_eq!(up, expected, "{range:?}");
        let down = keys(&*store, range.clone(), Order::Descending).await;
        expected.reverse();
        assert_eq!(down, expected, "{range:?}");
    }
    let last = keys(&*store, KeyRange::all(Space::Cluster), Order::Descending).await;
    assert_eq!(last, [b"\xff"]);
}

async fn a_scan_stops_at_its_limits_but_returns_one_row(store: Arc<dyn Store>) {
    let puts = (0..10).map(|number| put(run(&[number]), vec![number; 100]));
    done(&*store, writes(puts.collect::<Vec<_>>())).await;
    let tries = [
        (usize::MAX, usize::MAX, 10..=10),
        (3, usize::MAX, 3..=3),
        (1, usize::MAX, 1..=1),
        (0, usize::MAX, 1..=1),
        (usize::MAX, 0, 1..=1),
        (usize::MAX, 1, 1..=1),
        // How a row's key and overhead count is the engine's affair.
        (usize::MAX, 350, 2..=4),
        (2, 350, 2..=2),
    ];
    for (rows, bytes, expected) in tries {
        for order in [Order::Ascending, Order::Descending] {
            let limit = Limit { rows, bytes };
            let scanned = store.scan(KeyRange::all(Space::Run), order, limit);
            let scanned = scanned.await.unwrap();
            assert!(
                expected.contains(&scanned.len()),
                "{limit:?}: {}",
                scanned.len()
            );
            let first = if order == Order::Ascending { 0 } else { 9 };
            assert_eq!(scanned[0].key.bytes, vec![first]);
        }
    }
}

/// Goes through a range page by page as callers do: from behind the last key that was seen.
async fn paged(store: &dyn Store, order: Order, limit: Limit) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut range = KeyRange::all(Space::Run);
    loop {
        let page = store.scan(range.clone(), order, limit).await.unwrap();
        assert!(page.len() <= limit.rows.max(1));
        let Some(last) = page.last() else {
            return rows;
        };
        let last = last.key.bytes.clone();
        match order {
            Order::Ascending => range.start = [&last[..], &[0]].concat().into(),
            Order::Descending => range.end = Some(last),
        }
        rows.extend(page);
    }
}

async fn pages_of_a_scan_tile_many_rows_in_either_order(store: Arc<dyn Store>) {
    const ROWS: u32 = 3000;
    let mut rng = Rng::seeded(5);
    let mut numbers: Vec<u32> = (0..ROWS).collect();
    for at in (1..numbers.len()).rev() {
        let other = usize::try_from(rng.below(at as u64 + 1)).unwrap();
        numbers.swap(at, other);
    }
    for some in numbers.chunks(250) {
        let puts = some.iter().map(|number| {
            let bytes = number.to_be_bytes();
            put(run(&bytes), bytes.to_vec())
        });
        done(&*store, writes(puts.collect::<Vec<_>>())).await;
    }
    for (rows, bytes) in [(1000, usize::MAX), (7, usize::MAX), (usize::MAX, 3000)] {
        for order in [Order::Ascending, Order::Descending] {
            let scanned = paged(&*store, order, Limit { rows, bytes }).await;
            let mut read: Vec<u32> = scanned
                .iter()
                .map(|row| u32::from_be_bytes(row.key.bytes[..].try_into().unwrap()))
                .collect();
            if order == Order::Descending {
                read.reverse();
            }
            assert!(read.into_iter().eq(0..ROWS));
            assert!(
                scanned
                    .iter()
                    .all(|row| row.value.as_ref() == Some(&row.key.bytes))
            );
        }
    }
}

async fn scans_agree_with_a_plain_map_while_rows_come_and_go(store: Arc<dyn Store>) {
    let mut rng = Rng::seeded(11);
    let mut model: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
    for round in 0..300_u32 {
        let mut changes = BTreeMap::new();
        for _ in 0..=rng.below(4) {
            let number = u8::try_from(rng.below(60)).unwrap();
            changes.insert(run(&[number % 6, number]), rng.below(3));
        }
        let mut commit = writes([]);
        for (key, kind) in changes {
            let bytes = round.to_be_bytes().to_vec();
            commit.writes.push(match kind {
                0 => {
                    model.remove(&key);
                    Write::Delete { key }
                }
                1 => {
                    model.insert(key.clone(), bytes.clone());
                    put(key, bytes)
                }
                _ => {
                    model.entry(key.clone()).or_default().extend(&bytes);
                    Write::Append {
                        key,
                        bytes: bytes.into(),
                        place_at: None,
                    }
                }
            });
        }
        done(&*store, commit).await;
        let prefix = KeyRange::prefix(Space::Run, vec![u8::try_from(rng.below(6)).unwrap()]);
        for range in [prefix, KeyRange::all(Space::Run)] {
            let rows = store.scan(range.clone(), Order::Ascending, NO_LIMIT);
            let rows = rows.await.unwrap();
            let read = rows
                .iter()
                .map(|row| (&row.key, row.value.as_deref().unwrap()));
            let expected = model.iter().filter(|(key, _)| range.contains(key));
            assert!(
                read.eq(expected.map(|(key, value)| (key, &value[..]))),
                "round {round}"
            );
            let down = store
                .scan(range, Order::Descending, NO_LIMIT)
                .await
                .unwrap();
            assert!(down.iter().rev().eq(&rows), "round {round}");
        }
    }
}
