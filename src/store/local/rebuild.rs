//! Making sled anew because somebody asks for it: from the newest row snapshot and the journal after it.

use std::path::Path;

use super::folder;
use super::meta::Meta;
use super::shared::Shared;
use super::store_rows::failed;
use super::{LocalOptions, LocalStore, OpenError};

/// What sled holds after it was made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuiltRows {
    pub rows: usize,
    /// The last frame of the journal.
    pub frame: u64,
}

impl LocalStore {
    /// Opens a data folder, whatever node it belongs to, and makes sled anew. It holds every row when this returns;
    /// whoever calls closes the store.
    ///
    /// # Errors
    /// See [`OpenError`]; a folder that is not there is not made.
    pub fn rebuild_rows(path: &Path) -> Result<(Self, RebuiltRows), OpenError> {
        let (disk, lock) = folder::take_existing(path)?;
        let meta = Meta::read(&disk)?;
        let options = LocalOptions {
            node_id: meta.map_or(0, |meta| meta.node_id),
            rebuild_rows: true,
            ..LocalOptions::default()
        };
        let mut store = Self::open(options, disk, path.join(folder::SLED))?;
        store._lock = Some(lock);
        let rebuilt = store.shared.rebuilt()?;
        Ok((store, rebuilt))
    }
}

impl Shared {
    /// Moves everything that the replay has put into the overlay to sled.
    pub(super) fn move_all_rows(&self) -> Result<(), OpenError> {
        match self.overlay.freeze() {
            Some(frozen) => self.checkpoint(&frozen).map_err(failed),
            None => Ok(()),
        }
    }

    fn rebuilt(&self) -> Result<RebuiltRows, OpenError> {
        let rows = self.rows.len();
        Ok(RebuiltRows {
            rows: rows.map_err(|failure| failed(failure.into()))?,
            frame: self.overlay.point().frame,
        })
    }
}
