//! The overlay: an ordered map in memory of the rows that sled does not have yet.
//!
//! Two layers. Frames change the *active* one. A checkpoint freezes it, moves the frozen layer to sled and drops it
//! only then. A read looks at active, frozen and sled in this order.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::{Arc, RwLock};

use bytes::Bytes;

use super::frame::Point;
use super::locks::{read, write};
use super::ops::Kind;
use crate::store::Order;

/// What an entry is taken to cost beside key and value, in bytes: map node, allocator, lengths.
const ENTRY_OVERHEAD: usize = 96;

/// A row as a layer has it: deleted when it has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The number of the frame that wrote it last.
    pub(super) version: u64,
    /// Grows in place: an Append to a long page copies only what is appended.
    pub(super) value: Option<Vec<u8>>,
}

impl Entry {
    /// The row as a reader sees it.
    pub(super) fn to_cell(&self) -> Cell {
        let value = self.value.as_ref()?;
        Some((self.version, Bytes::copy_from_slice(value)))
    }
}

/// A row as it stands: version and value, or nothing.
pub(super) type Cell = Option<(u64, Bytes)>;

/// Rows by encoded key.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) rows: BTreeMap<Box<[u8]>, Entry>,
    pub(super) bytes: usize,
}

impl Layer {
    /// Makes a change. `base` is what an Append goes on where this layer does not have the row.
    pub(super) fn apply(
        &mut self,
        key: &[u8],
        kind: Kind,
        value: &[u8],
        version: u64,
        base: impl FnOnce() -> Option<Vec<u8>>,
    ) {
        let Some(entry) = self.rows.get_mut(key) else {
            let value = match kind {
                Kind::Put => Some(value.to_vec()),
                Kind::Delete => None,
                Kind::Append => {
                    let mut grown = base().unwrap_or_default();
                    grown.extend_from_slice(value);
                    Some(grown)
                }
            };
            self.bytes += ENTRY_OVERHEAD + key.len() + value.as_ref().map_or(0, Vec::len);
            self.rows.insert(key.into(), Entry { version, value });
            return;
        };
        let before = entry.value.as_ref().map_or(0, Vec::len);
        entry.version = version;
        match kind {
            Kind::Delete => entry.value = None,
            Kind::Put => {
                let kept = entry.value.get_or_insert_default();
                kept.clear();
                kept.extend_from_slice(value);
            }
            Kind::Append => entry.value.get_or_insert_default().extend_from_slice(value),
        }
        let after = entry.value.as_ref().map_or(0, Vec::len);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
    }
}

/// Marks an epoch of the overlay; see [`Overlay::freeze`].
#[derive(Debug)]
pub(super) struct EpochPin(#[expect(dead_code, reason = "held for its reference count")] Arc<()>);

#[derive(Debug)]
struct Layers {
    active: Layer,
    frozen: Option<Arc<Layer>>,
    epoch: Arc<()>,
    /// Behind the last frame that has been applied.
    point: Point,
}

/// The layers behind one lock, never held over I/O.
#[derive(Debug)]
pub(super) struct Overlay(RwLock<Layers>);

/// A layer that is on its way to sled.
#[derive(Debug)]
pub(super) struct Frozen {
    pub(super) layer: Arc<Layer>,
    /// Behind the last frame whose changes it has.
    pub(super) point: Point,
    /// Held by readers that came before the freeze and may still look into sled.
    earlier: Arc<()>,
}

impl Frozen {
    /// Whether a reader from before the freeze is still at work. Until it is done sled must not change under it: it
    /// would see newer rows beside older ones.
    pub(super) fn has_readers(&self) -> bool {
        Arc::strong_count(&self.earlier) > 1
    }
}

impl Overlay {
    /// An empty overlay over rows that have all frames before `point`.
    pub(super) fn new(point: Point) -> Self {
        Self(RwLock::new(Layers {
            active: Layer::default(),
            frozen: None,
            epoch: Arc::new(()),
            point,
        }))
    }

    /// The row, when a layer has it (inner `None`: it is deleted).
    pub(super) fn get(&self, key: &[u8]) -> Option<Cell> {
        read(&self.0).entry(key).map(Entry::to_cell)
    }

    /// The version of the row, when a layer has it.
    pub(super) fn version(&self, key: &[u8]) -> Option<u64> {
        let layers = read(&self.0);
        let entry = layers.entry(key)?;
        Some(if entry.value.is_some() {
            entry.version
        } else {
            0
        })
    }

    /// The length of the row's value, when the active layer has the row.
    pub(super) fn active_length(&self, key: &[u8]) -> Option<usize> {
        let layers = read(&self.0);
        let entry = layers.active.rows.get(key)?;
        Some(entry.value.as_ref().map_or(0, Vec::len))
    }

    /// Several rows of one moment, each as in [`Overlay::get`], and a pin to read the rest under.
    pub(super) fn get_all(&self, keys: &[Bytes]) -> (Vec<Option<Cell>>, EpochPin) {
        let layers = read(&self.0);
        let cells = keys.iter().map(|key| layers.entry(key).map(Entry::to_cell));
        (cells.collect(), EpochPin(Arc::clone(&layers.epoch)))
    }

    /// The rows of a range of encoded keys in order, deleted ones included, until `rows_max` live ones or more than
    /// `bytes_max` bytes of them are there.
    pub(super) fn range(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        order: Order,
        rows_max: usize,
        bytes_max: usize,
    ) -> (Part, EpochPin) {
        let layers = read(&self.0);
        let frozen = layers.frozen.as_deref();
        let active = layers.active.rows.range::<[u8], _>(range);
        let frozen = frozen.map(|layer| layer.rows.range::<[u8], _>(range));
        let part = Part::collect(active, frozen, order, rows_max, bytes_max);
        (part, EpochPin(Arc::clone(&layers.epoch)))
    }

    /// Begins again at `point` with nothing.
    pub(super) fn reset(&self, point: Point) {
        let mut layers = write(&self.0);
        layers.active = Layer::default();
        layers.frozen = None;
        layers.point = point;
    }

    /// Applies a frame: `change` fills the active layer.
    pub(super) fn apply(&self, point: Point, change: impl FnOnce(&mut Layer)) {
        let mut layers = write(&self.0);
        change(&mut layers.active);
        layers.point = point;
    }

    /// Makes the active layer the frozen one. `None` when a frozen one is still there or nothing has changed.
    pub(super) fn freeze(&self) -> Option<Frozen> {
        let mut layers = write(&self.0);
        if layers.frozen.is_some() || layers.active.rows.is_empty() {
            return None;
        }
        let layer = Arc::new(std::mem::take(&mut layers.active));
        layers.frozen = Some(Arc::clone(&layer));
        let earlier = std::mem::replace(&mut layers.epoch, Arc::new(()));
        Some(Frozen {
            layer,
            point: layers.point,
            earlier,
        })
    }

    /// Lets the frozen layer go: sled has it.
    pub(super) fn drop_frozen(&self) {
        let frozen = write(&self.0).frozen.take();
        // A large map takes a while to free; not under the lock.
        drop(frozen);
    }

    /// Bytes of both layers.
    pub(super) fn bytes(&self) -> usize {
        let layers = read(&self.0);
        layers.active.bytes + layers.frozen.as_ref().map_or(0, |layer| layer.bytes)
    }

    /// Rows of both layers.
    pub(super) fn rows(&self) -> usize {
        let layers = read(&self.0);
        layers.active.rows.len() + layers.frozen.as_ref().map_or(0, |layer| layer.rows.len())
    }

    /// Bytes of the active layer.
    pub(super) fn active_bytes(&self) -> usize {
        read(&self.0).active.bytes
    }

    /// Behind the last frame that has been applied.
    pub(super) fn point(&self) -> Point {
        read(&self.0).point
    }
}

impl Layers {
    fn entry(&self, key: &[u8]) -> Option<&Entry> {
        let active = self.active.rows.get(key);
        active.or_else(|| self.frozen.as_ref()?.rows.get(key))
    }
}

/// What the overlay has of a range.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// In the order asked for, deleted rows included.
    pub(super) rows: Vec<(Bytes, Cell)>,
}

type Rows<'a> = btree_map::Range<'a, Box<[u8]>, Entry>;

impl Part {
    fn collect(
        active: Rows<'_>,
        frozen: Option<Rows<'_>>,
        order: Order,
        rows_max: usize,
        bytes_max: usize,
    ) -> Self {
        let frozen = frozen.unwrap_or_default();
        match order {
            Order::Ascending => Self::merge(active, frozen, rows_max, bytes_max, |a, b| a <= b),
            Order::Descending => {
                let (active, frozen) = (active.rev(), frozen.rev());
                Self::merge(active, frozen, rows_max, bytes_max, |a, b| a >= b)
            }
        }
    }

    fn merge<'a>(
        active: impl Iterator<Item = (&'a Box<[u8]>, &'a Entry)>,
        frozen: impl Iterator<Item = (&'a Box<[u8]>, &'a Entry)>,
        rows_max: usize,
        bytes_max: usize,
        comes_first: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Self {
        let (mut active, mut frozen) = (active.peekable(), frozen.peekable());
        let (mut rows, mut live, mut bytes) = (Vec::new(), 0, 0);
        while live < rows_max.max(1) && (live == 0 || bytes <= bytes_max) {
            let Some((key, entry)) = next_of(&mut active, &mut frozen, &comes_first) else {
                break;
            };
            let cell = entry.to_cell();
            if let Some((_, value)) = &cell {
                live += 1;
                bytes += key.len() - 1 + value.len();
            }
            rows.push((Bytes::copy_from_slice(key), cell));
        }
        Self { rows }
    }
}

/// The next row of two sorted ones; where both have it, the first one's.
fn next_of<'a>(
    newer: &mut Peekable<impl Iterator<Item = (&'a Box<[u8]>, &'a Entry)>>,
    older: &mut Peekable<impl Iterator<Item = (&'a Box<[u8]>, &'a Entry)>>,
    comes_first: &impl Fn(&[u8], &[u8]) -> bool,
) -> Option<(&'a [u8], &'a Entry)> {
    let take_newer = match (newer.peek(), older.peek()) {
        (Some((a, _)), Some((b, _))) => comes_first(a, b),
        (newer, _) => newer.is_some(),
    };
    if !take_newer {
        return older.next().map(|(key, entry)| (&**key, entry));
    }
    let (key, entry) = newer.next()?;
    older.next_if(|(other, _)| *other == key);
    Some((key, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(frame: u64) -> Point {
        Point {
            frame,
            ..Point::start(4096)
        }
    }

    fn change(overlay: &Overlay, frame: u64, key: &str, kind: Kind, value: &str) {
        overlay.apply(point(frame), |layer| {
            layer.apply(key.as_bytes(), kind, value.as_bytes(), frame, || {
                Some(b"base+".to_vec())
            });
        });
    }

    fn keys(overlay: &Overlay, order: Order, rows_max: usize) -> Vec<String> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let (part, _pin) = overlay.range(all, order, rows_max, usize::MAX);
        let text = |(key, cell): &(Bytes, Cell)| {
            let value = cell.as_ref().map_or(&b"-"[..], |(_, value)| value);
            format!(
                "{}={}",
                String::from_utf8_lossy(key),
                String::from_utf8_lossy(value)
            )
        };
        part.rows.iter().map(text).collect()
    }

    #[test]
    fn the_active_layer_hides_the_frozen_one() {
        let overlay = Overlay::new(point(0));
        change(&overlay, 1, "a", Kind::Put, "1");
        change(&overlay, 2, "b", Kind::Append, "2");
        change(&overlay, 3, "c", Kind::Put, "3");
        let frozen = overlay.freeze().unwrap();
        assert_eq!(frozen.point.frame, 3);
        assert!(overlay.freeze().is_none(), "one at a time");
        change(&overlay, 4, "a", Kind::Delete, "");
        change(&overlay, 5, "d", Kind::Put, "5");
        change(&overlay, 6, "d", Kind::Append, "6");
        let all = ["a=-", "b=base+2", "c=3", "d=56"];
        assert_eq!(keys(&overlay, Order::Ascending, 9), all);
        let mut reversed = all;
        reversed.reverse();
        assert_eq!(keys(&overlay, Order::Descending, 9), reversed);
        // Deleted rows do not count.
        assert_eq!(keys(&overlay, Order::Ascending, 1), all[..2]);
        assert_eq!(overlay.version(b"a"), Some(0));
        assert_eq!(overlay.version(b"b"), Some(2));
        assert_eq!(overlay.version(b"x"), None);
        overlay.drop_frozen();
        assert_eq!(keys(&overlay, Order::Ascending, 9), ["a=-", "d=56"]);
        assert!(overlay.bytes() > 0 && overlay.bytes() == overlay.active_bytes());
    }

    #[test]
    fn a_frozen_layer_knows_of_readers_from_before() {
        let overlay = Overlay::new(point(0));
        change(&overlay, 1, "a", Kind::Put, "1");
        let (_, early) = overlay.get_all(&[]);
        let frozen = overlay.freeze().unwrap();
        let (_, late) = overlay.get_all(&[]);
        assert!(frozen.has_readers());
        drop(early);
        assert!(!frozen.has_readers());
        drop(late);
    }
}
