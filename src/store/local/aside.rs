//! What is cut off the end of a journal is kept aside for people to look at: it may be a write that was never
//! acknowledged, and it may be the last acknowledged one, damaged since.

use std::io;
use std::sync::Arc;

use super::aligned::AlignedBuffer;
use super::codec::to_usize;
use super::disk::{Access, Disk};
use super::frames::FrameReader;
use super::marks::create_over;
use super::replay::Torn;

/// Bytes that are kept of one cut.
const KEPT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Cuts that are kept.
const KEPT_MAX: usize = 4;

const NAME: (&str, &str) = ("cut-", ".bytes");

/// Copies what is behind the end of a journal into a file of its own.
pub(super) fn keep(disk: &Arc<dyn Disk>, torn: &Torn) -> io::Result<()> {
    const CHUNK: u64 = 256 * 1024;
    let segment = &torn.segment;
    let limit = FrameReader::new(Arc::clone(segment))?.limit();
    let end = limit.min(torn.position.saturating_add(KEPT_BYTES_MAX));
    let (generation, position) = (segment.generation(), torn.position);
    let name = format!("{}{generation:016x}-{position:016x}{}", NAME.0, NAME.1);
    let file = create_over(disk, &name, Access::Buffered)?;
    let mut buffer = AlignedBuffer::new(to_usize(CHUNK), segment.file.alignment());
    let mut at = position;
    while at < end {
        let length = to_usize(CHUNK.min(end - at));
        segment.file.read(buffer.bytes_mut(length), at)?;
        file.write_all_at(buffer.bytes(length), at - position)?;
        at += super::codec::to_u64(length);
    }
    file.sync_all()?;
    let bytes = at - position;
    tracing::warn!(
        file = name,
        bytes,
        "cut off the end of the journal and kept aside"
    );
    disk.sync_folder()
}

/// Removes all but the newest of the cuts that were there at the start.
pub(super) fn forget_old(disk: &Arc<dyn Disk>, names: &[String]) {
    let is_cut = |name: &&String| name.starts_with(NAME.0) && name.ends_with(NAME.1);
    let mut cuts: Vec<&String> = names.iter().filter(is_cut).collect();
    cuts.sort();
    let old = cuts.len().saturating_sub(KEPT_MAX);
    for name in &cuts[..old] {
        if let Err(error) = disk.remove(name) {
            tracing::warn!(file = name, %error, "old cut could not be removed");
        }
    }
}
