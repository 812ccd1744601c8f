//! Instruments: what counts and measures. No lock, no allocation; each call is one or two relaxed atomic additions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::def::Def;

/// Bounds that a histogram has at most.
pub(super) const BOUNDS_MAX: usize = 16;

/// Counts.
#[derive(Debug)]
pub struct Counter {
    def: &'static Def,
    value: AtomicU64,
}

impl Counter {
    pub(super) const fn new(def: &'static Def) -> Self {
        Self {
            def,
            value: AtomicU64::new(0),
        }
    }

    /// The declaration.
    pub const fn def(&self) -> &'static Def {
        self.def
    }

    /// Counts `count` more.
    pub fn add(&self, count: u64) {
        self.value.fetch_add(count, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

/// A counter for each value of a label; values are indices below `N`.
#[derive(Debug)]
pub struct CounterRow<const N: usize> {
    def: &'static Def,
    values: [AtomicU64; N],
}

impl<const N: usize> CounterRow<N> {
    pub(super) const fn new(def: &'static Def) -> Self {
        Self {
            def,
            values: [const { AtomicU64::new(0) }; N],
        }
    }

    /// The declaration.
    pub const fn def(&self) -> &'static Def {
        self.def
    }

    /// Counts `count` more at `index`; an index that the label does not have counts nothing.
    pub fn add(&self, index: usize, count: u64) {
        if let Some(value) = self.values.get(index) {
            value.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// The count so far at each index.
    pub fn values(&self) -> impl Iterator<Item = u64> + '_ {
        self.values
            .iter()
            .map(|value| value.load(Ordering::Relaxed))
    }
}

/// A counter for each pair of values of two labels.
#[derive(Debug)]
pub struct CounterGrid<const ROWS: usize, const COLUMNS: usize> {
    def: &'static Def,
    values: [[AtomicU64; COLUMNS]; ROWS],
}

impl<const ROWS: usize, const COLUMNS: usize> CounterGrid<ROWS, COLUMNS> {
    pub(super) const fn new(def: &'static Def) -> Self {
        Self {
            def,
            values: [const { [const { AtomicU64::new(0) }; COLUMNS] }; ROWS],
        }
    }

    /// The declaration.
    pub const fn def(&self) -> &'static Def {
        self.def
    }

    /// Counts one more at `row` and `column`; indices that the labels do not have count nothing.
    pub fn count(&self, row: usize, column: usize) {
        if let Some(value) = self.values.get(row).and_then(|row| row.get(column)) {
            value.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Row, column and count of every pair that was counted.
    pub fn counted(&self) -> impl Iterator<Item = (usize, usize, u64)> + '_ {
        let rows = self.values.iter().enumerate();
        let cells = rows.flat_map(|(row, columns)| {
            let columns = columns.iter().enumerate();
            columns.map(move |(column, value)| (row, column, value.load(Ordering::Relaxed)))
        });
        cells.filter(|(_, _, count)| *count > 0)
    }
}

/// Observations of one kind: how many fell between two bounds, and their sum.
#[derive(Debug)]
struct Cells {
    /// The last one is for what lies above every bound.
    buckets: [AtomicU64; BOUNDS_MAX + 1],
    sum: AtomicU64,
}

impl Cells {
    const fn new() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BOUNDS_MAX + 1],
            sum: AtomicU64::new(0),
        }
    }

    fn observe(&self, bounds: &[u64], value: u64) {
        let bucket = bounds
            .iter()
            .position(|bound| value <= *bound)
            .unwrap_or(BOUNDS_MAX);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn read(&self, bounds: &'static [u64]) -> Observed {
        let load = |bucket: &AtomicU64| bucket.load(Ordering::Relaxed);
        Observed {
            bounds,
            sum: load(&self.sum),
            buckets: self.buckets[..bounds.len()].iter().map(load).collect(),
            above: load(&self.buckets[BOUNDS_MAX]),
        }
    }
}

/// What a histogram has seen.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) bounds: &'static [u64],
    /// How many fell into the bucket below each bound; not cumulative.
    pub(super) buckets: Vec<u64>,
    pub(super) above: u64,
    pub(super) sum: u64,
}

/// How observations are distributed.
#[derive(Debug)]
pub struct Histogram(HistogramRow<1>);

impl Histogram {
    pub(super) const fn new(def: &'static Def, bounds: &'static [u64]) -> Self {
        Self(HistogramRow::new(def, bounds))
    }

    /// The declaration.
    pub const fn def(&self) -> &'static Def {
        self.0.def
    }

    /// Takes an observation, in nanoseconds where the unit is seconds.
    pub fn observe(&self, value: u64) {
        self.0.observe(0, value);
    }

    /// Observes the time since `begun`.
    pub fn observe_since(&self, begun: Instant) {
        self.0.observe_since(0, begun);
    }

    pub(super) fn row(&self) -> &HistogramRow<1> {
        &self.0
    }
}

/// A histogram for each value of a label; values are indices below `N`.
#[derive(Debug)]
pub struct HistogramRow<const N: usize> {
    def: &'static Def,
    bounds: &'static [u64],
    cells: [Cells; N],
}

impl<const N: usize> HistogramRow<N> {
    pub(super) const fn new(def: &'static Def, bounds: &'static [u64]) -> Self {
        assert!(bounds.len() <= BOUNDS_MAX, "a bucket for each bound");
        Self {
            def,
            bounds,
            cells: [const { Cells::new() }; N],
        }
    }

    /// The declaration.
    pub const fn def(&self) -> &'static Def {
        self.def
    }

    /// Takes an observation at `index`, in nanoseconds where the unit is seconds; an index that the label does not have
    /// observes nothing.
    pub fn observe(&self, index: usize, value: u64) {
        if let Some(cells) = self.cells.get(index) {
            cells.observe(self.bounds, value);
        }
    }

    /// Observes the time since `begun` at `index`.
    pub fn observe_since(&self, index: usize, begun: Instant) {
        let nanoseconds = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.observe(index, nanoseconds);
    }

    pub(super) fn read(&self) -> impl Iterator<Item = Observed> + '_ {
        self.cells.iter().map(|cells| cells.read(self.bounds))
    }
}
