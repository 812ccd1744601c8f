//! What can go wrong in an engine, by what a caller does about it.

use super::BlobName;

/// Kinds exist because a caller acts on them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was changed; try again.
    #[error("store unavailable: {reason}; try again")]
    Unavailable { reason: String },
    /// It is not known whether the commit took effect: find out with a write.
    #[error("outcome of the commit unknown: {reason}; read the rows again before going on")]
    Unknown { reason: String },
    /// No room, nothing was changed: free space, reads go on.
    #[error("store full: {reason}; free space or delete topics")]
    Full { reason: String },
    /// Stored bytes are not what was written.
    #[error("damage at {place}: {reason}; keep the folder and run `ottla storage verify`")]
    Corrupt { place: String, reason: String },
    /// The blob has been deleted: look the run up again.
    #[error("blob {} is gone; look its run up again", .0.0)]
    Missing(BlobName),
    /// Another incarnation owns the store: stop.
    #[error("fenced: {reason}; another broker has taken over, stop this one")]
    Fenced { reason: String },
    /// A write or sync failed, what is on disk is not known: nothing is accepted until the store is opened again.
    #[error("store poisoned: {reason}; restart the broker once the disk is well")]
    Poisoned { reason: String },
    /// The store has been closed.
    #[error("store closed")]
    Closed,
}
