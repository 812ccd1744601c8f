//! What the engine can be told, and why it may not open.

use std::io;
use std::time::Duration;

use super::segment::BadHeader;

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When its bytes are on stable storage: it survives a power cut.
    #[default]
    Fsync,
    /// When the write call has returned, with a sync every [`LocalOptions::os_sync_interval`]: it survives the death of
    /// the process; a power cut may lose what came after the last sync.
    Os,
}

/// Settings of the local engine. The defaults are meant for use; small values make tests reach every corner.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// The `node.id` that the folder belongs to.
    pub node_id: i32,
    /// The cluster id of a folder that is made; `None` = a random one.
    pub cluster_id: Option<String>,
    /// When a commit is acknowledged.
    pub durability: Durability,
    /// With [`Durability::Os`]: the time between a write and its sync.
    pub os_sync_interval: Duration,
    /// How long the journal rests before an empty frame vouches for the last one.
    pub idle_after: Duration,
    /// Bytes of a journal segment, used when the folder is made; `None` = by the size of the file system.
    pub segment_size: Option<u64>,
    /// Batch bytes that are gathered into one frame; a larger commit gets a frame of its own.
    pub frame_bytes_max: usize,
    /// Bytes in the overlay at which a checkpoint begins.
    pub checkpoint_overlay_bytes: usize,
    /// Bytes of the journal that a start would have to read, at which a checkpoint begins.
    pub checkpoint_journal_bytes: u64,
    /// Bytes that the overlay may have at most: reached only while sled cannot be written, then writes are refused.
    pub overlay_bytes_max: usize,
    /// Row section bytes since the last row snapshot at which another is taken; its size, where that is more.
    pub snapshot_row_bytes_min: u64,
    /// Bytes of memory in which a snapshot sorts row operations before it puts them aside in a file.
    pub snapshot_sort_bytes: usize,
    /// Bytes of memory for sled's cache.
    pub sled_cache_bytes: u64,
    /// Segments without anything in them that are kept for the journal to go on in.
    pub spare_segments_max: usize,
    /// Whether sled is made anew at the start whatever state it is in.
    pub rebuild_rows: bool,
    /// Seeds salts and the cluster id; `None` = from the operating system.
    pub seed: Option<u64>,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            node_id: 1,
            cluster_id: None,
            durability: Durability::Fsync,
            os_sync_interval: Duration::from_millis(50),
            idle_after: Duration::from_millis(100),
            segment_size: None,
            frame_bytes_max: 4 * 1024 * 1024,
            checkpoint_overlay_bytes: 8 * 1024 * 1024,
            checkpoint_journal_bytes: 128 * 1024 * 1024,
            overlay_bytes_max: 64 * 1024 * 1024,
            snapshot_row_bytes_min: 64 * 1024 * 1024,
            snapshot_sort_bytes: 8 * 1024 * 1024,
            sled_cache_bytes: 16 * 1024 * 1024,
            spare_segments_max: 2,
            rebuild_rows: false,
            seed: None,
        }
    }
}

impl LocalOptions {
    /// The smallest segment, in bytes.
    pub const SEGMENT_SIZE_MIN: u64 = 4 * 1024 * 1024;

    /// The largest segment that is chosen by itself, in bytes.
    pub const SEGMENT_SIZE_MAX: u64 = 256 * 1024 * 1024;

    /// The segment size for a file system of `total` bytes: a power of two near 1/256 of it.
    pub fn segment_size_for(total: u64) -> u64 {
        let share = (total / 256).max(1);
        let rounded = 1 << share.ilog2();
        rounded.clamp(Self::SEGMENT_SIZE_MIN, Self::SEGMENT_SIZE_MAX)
    }
}

/// Why the engine did not open, by what a person does about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder.
    #[error("data folder {place} is in use by another process; stop it or choose another folder")]
    InUse { place: String },
    /// There is no data folder, and none is to be made.
    #[error("there is no data folder at {place}; name one with --data")]
    NoFolder { place: String },
    /// The folder can't be made or written.
    #[error("data folder {place} is not writable: {source}; check its owner and its file system")]
    NotWritable { place: String, source: io::Error },
    /// The folder was made by a node with another id.
    #[error(
        "data folder belongs to node {found}, not {wanted}; set node.id or choose another folder"
    )]
    OtherNode { found: i32, wanted: i32 },
    /// The cluster id that was asked for cannot be noted down.
    #[error(
        "cluster id {asked:?} is not one line of 1 to 255 bytes; choose another ottla.cluster.id"
    )]
    ClusterId { asked: String },
    /// A later version wrote here.
    #[error("on-disk format {found} is newer than {known}, the newest this version knows; upgrade")]
    NewerFormat { found: u32, known: u32 },
    /// Something that was durable is not there or not as it was written. Nothing has been changed.
    #[error("damage at {place}: {reason}; keep the folder and restore what is missing")]
    Corrupt { place: String, reason: String },
    /// The disk answered with an error.
    #[error("{place}: {source}")]
    Io { place: String, source: io::Error },
}

impl OpenError {
    pub(super) fn corrupt(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            place: place.into(),
            reason: reason.into(),
        }
    }

    /// For `map_err`: an error of the disk at `place`.
    pub(super) fn io(place: &str) -> impl FnOnce(io::Error) -> Self + use<> {
        let place = place.to_owned();
        move |source| Self::Io { place, source }
    }

    pub(super) fn newer(found: u16, known: u16) -> Self {
        let (found, known) = (u32::from(found), u32::from(known));
        Self::NewerFormat { found, known }
    }

    pub(super) fn bad_header(place: &str, bad: BadHeader) -> Self {
        match bad {
            BadHeader::Invalid => Self::corrupt(place, "the header is not what was written"),
            BadHeader::Newer(found) => Self::newer(found, super::segment::FORMAT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_fit_the_file_system() {
        let mib = 1024 * 1024;
        assert_eq!(LocalOptions::segment_size_for(0), 4 * mib);
        assert_eq!(LocalOptions::segment_size_for(128 * mib), 4 * mib);
        assert_eq!(LocalOptions::segment_size_for(3 * 1024 * mib), 8 * mib);
        assert_eq!(LocalOptions::segment_size_for(20 * 1024 * mib), 64 * mib);
        assert_eq!(LocalOptions::segment_size_for(u64::MAX), 256 * mib);
    }
}
