//! What the engine tells of itself on the metrics page.

use super::codec::to_u64;
use super::shared::Shared;
use crate::metrics::{Def, Reading, table};

impl Shared {
    /// See [`crate::store::Store::gauges`].
    pub(super) fn gauges(&self) -> Vec<Reading> {
        let segments = self.segments.live();
        vec![
            reading(&table::JOURNAL_SEGMENTS, to_u64(segments.len())),
            reading(
                &table::JOURNAL_BYTES,
                segments.iter().map(|segment| segment.header.size).sum(),
            ),
            reading(&table::OVERLAY_ROWS, to_u64(self.overlay.rows())),
            reading(&table::SNAPSHOT_BYTES, self.snapshot_size()),
            reading(&table::STORE_POISONED, u64::from(self.poisoned().is_some())),
        ]
    }
}

fn reading(def: &'static Def, value: u64) -> Reading {
    Reading {
        def,
        labels: &[],
        value,
    }
}
