//! The block cache: spans of blobs in memory, under one budget for the whole broker.
//!
//! The committer puts what it has just written here, so that consumers at the end of a log never touch the disk; the
//! reader puts what it read. First in, first out: a log is read forwards, so the oldest span is the one least wanted.
//! What has been here for a while goes even when there is room: who comes that late reads the disk, and a broker that
//! went idle gives its memory back.
//! Blob names are never reused, so a span can be dropped late but never be wrong.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::base::Rope;
use crate::store::Place;

/// Memory that a span takes beside its bytes: map entry, queue entry, pieces. Bytes.
const SPAN_OVERHEAD: usize = 256;

/// How long a span is kept, and at most a sweep longer.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Spans of blobs by the place where they begin.
#[derive(Debug)]
pub(crate) struct BlockCache {
    bytes_max: usize,
    spans: Mutex<Spans>,
}

#[derive(Debug, Default)]
struct Spans {
    by_place: BTreeMap<Place, Rope>,
    oldest_first: VecDeque<(Instant, Place)>,
    bytes: usize,
}

impl BlockCache {
    /// A cache of at most `bytes_max` bytes; 0 keeps nothing.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            spans: Mutex::default(),
        }
    }

    /// Keeps the bytes that lie at `place`.
    pub(crate) fn insert(&self, place: Place, bytes: Rope) {
        let size = bytes.len() + SPAN_OVERHEAD;
        if size > self.bytes_max {
            return;
        }
        let mut spans = self.lock();
        if let Some(held) = spans.by_place.get(&place) {
            if held.len() >= bytes.len() {
                return;
            }
            spans.bytes -= held.len() + SPAN_OVERHEAD;
            spans.oldest_first.retain(|(_, other)| *other != place);
        }
        while spans.bytes + size > self.bytes_max {
            spans.drop_oldest();
        }
        spans.oldest_first.push_back((Instant::now(), place));
        spans.by_place.insert(place, bytes);
        spans.bytes += size;
    }

    /// The `len` bytes at `place`, if one span holds them all.
    pub(crate) fn get(&self, place: Place, len: usize) -> Option<Rope> {
        let spans = self.lock();
        let (start, span) = spans.by_place.range(..=place).next_back()?;
        if start.blob != place.blob {
            return None;
        }
        let skip = usize::try_from(place.position - start.position).ok()?;
        let end = skip.checked_add(len)?;
        (end <= span.len()).then(|| span.slice(skip..end))
    }

    /// Drops what has been here for longer than it is kept.
    pub(crate) fn trim(&self, now: Instant) {
        let mut spans = self.lock();
        while let Some((since, _)) = spans.oldest_first.front()
            && now.saturating_duration_since(*since) > KEPT_FOR
        {
            spans.drop_oldest();
        }
        if spans.oldest_first.is_empty() {
            *spans = Spans::default();
        }
    }

    /// The budget, bytes.
    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Bytes in use, overhead included.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Spans> {
        self.spans
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Spans {
    fn drop_oldest(&mut self) {
        let Some((_, place)) = self.oldest_first.pop_front() else {
            return;
        };
        if let Some(span) = self.by_place.remove(&place) {
            self.bytes -= span.len() + SPAN_OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::BlobName;
    use bytes::Bytes;

    fn place(blob: u64, position: u64) -> Place {
        Place {
            blob: BlobName(blob),
            position,
        }
    }

    fn rope(text: &'static str) -> Rope {
        Bytes::from_static(text.as_bytes()).into()
    }

    #[test]
    fn a_span_answers_for_every_range_inside_it_and_for_no_other() {
        let cache = BlockCache::new(10_000);
        cache.insert(place(1, 100), rope("abcdef"));
        let got = |blob, position, len| cache.get(place(blob, position), len).map(|r| r.to_bytes());
        assert_eq!(got(1, 102, 3), Some(Bytes::from_static(b"cde")));
        assert_eq!(got(1, 102, 5), None);
        assert_eq!(got(1, 99, 2), None);
        assert_eq!(got(2, 102, 3), None);
    }

    #[test]
    fn the_budget_holds_and_the_oldest_goes_first() {
        let cache = BlockCache::new(3 * (SPAN_OVERHEAD + 6));
        for position in 0..10 {
            cache.insert(place(1, position * 100), rope("abcdef"));
            cache.insert(place(1, position * 100), rope("abcdef"));
            assert!(cache.bytes() <= 3 * (SPAN_OVERHEAD + 6));
        }
        assert!(cache.get(place(1, 600), 6).is_none());
        assert!(cache.get(place(1, 700), 6).is_some());
        cache.insert(place(1, 900), rope("abcdefgh"));
        assert!(
            cache.get(place(1, 900), 8).is_some(),
            "a longer span takes the place of a shorter one"
        );
        assert!(cache.bytes() <= 3 * (SPAN_OVERHEAD + 6));
        BlockCache::new(0).insert(place(1, 0), rope("abc"));
    }
    #[test]
    fn what_is_old_is_dropped_though_there_is_room() {
        let cache = BlockCache::new(10_000);
        cache.insert(place(1, 0), rope("abcdef"));
        let now = Instant::now();
        cache.trim(now + KEPT_FOR / 2);
        assert!(cache.get(place(1, 0), 6).is_some());
        cache.trim(now + KEPT_FOR * 2);
        assert!(cache.get(place(1, 0), 6).is_none());
        assert_eq!(cache.bytes(), 0);
    }
}
