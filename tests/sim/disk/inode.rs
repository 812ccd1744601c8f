//! What a simulated file holds: what programs see, what is on the medium, and what lies between.

use std::collections::{BTreeMap, BTreeSet};

use ottla::base::Rng;

/// Room is taken in blocks of this many bytes.
const BLOCK: u64 = 4096;

/// Un-synced contents of one sector that are remembered: any of them may be what a power cut leaves.
const VERSIONS_MAX: usize = 4;

/// What happens to an un-synced sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing un-synced is kept.
    AllDropped,
    /// Everything is kept, as after a cut in the drive's idle time.
    AllKept,
    /// Each sector for itself: the last synced content or any that was written since.
    Mixed,
    /// Like `Mixed`, and a sector may be a mixture of the two.
    Torn,
}

/// A file's contents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inode {
    /// What a read sees.
    pub(crate) seen: Vec<u8>,
    /// What was synced last.
    durable: Vec<u8>,
    /// Written and not synced: contents by sector, oldest first.
    pending: BTreeMap<u64, Vec<Vec<u8>>>,
    /// The shortest length since the last sync.
    shortest: Option<usize>,
    /// Blocks that take up room.
    blocks: BTreeSet<u64>,
    pub(crate) handles: usize,
}

impl Inode {
    /// Whether a sync would have something to do.
    pub(crate) fn dirty(&self) -> bool {
        !self.pending.is_empty() || self.shortest.is_some() || self.durable.len() != self.seen.len()
    }

    /// Bytes that the file takes up.
    pub(crate) fn size(&self) -> u64 {
        self.blocks.len() as u64 * BLOCK
    }

    /// Bytes that a change of `range` would take up beside those that the file has.
    pub(crate) fn needs(&self, from: u64, to: u64) -> u64 {
        let blocks = from / BLOCK..to.div_ceil(BLOCK);
        blocks.filter(|block| !self.blocks.contains(block)).count() as u64 * BLOCK
    }

    pub(crate) fn allocate(&mut self, from: u64, to: u64) {
        self.blocks.extend(from / BLOCK..to.div_ceil(BLOCK));
    }

    /// Writes; `keep` says which sectors arrive.
    pub(crate) fn write(
        &mut self,
        bytes: &[u8],
        position: u64,
        sector: u64,
        mut keep: impl FnMut() -> bool,
    ) {
        let end = position + bytes.len() as u64;
        self.allocate(position, end);
        if self.seen.len() < index(end) {
            self.seen.resize(index(end), 0);
        }
        for number in position / sector..end.div_ceil(sector) {
            if !keep() {
                continue;
            }
            let from = position.max(number * sector);
            let to = end.min((number + 1) * sector);
            let part = &bytes[index(from - position)..index(to - position)];
            self.seen[index(from)..index(to)].copy_from_slice(part);
            let versions = self.pending.entry(number).or_default();
            if versions.len() == VERSIONS_MAX {
                versions.remove(0);
            }
            let content = sector_of(&self.seen, number, sector);
            versions.push(content);
        }
    }

    pub(crate) fn set_len(&mut self, len: u64, sector: u64) {
        let len = index(len);
        if len < self.seen.len() {
            self.shortest = Some(self.shortest.map_or(len, |shortest| shortest.min(len)));
            self.pending.split_off(&(len as u64).div_ceil(sector));
            self.blocks.split_off(&(len as u64).div_ceil(BLOCK));
        }
        self.seen.resize(len, 0);
    }

    /// Everything written reaches the medium.
    pub(crate) fn sync(&mut self, sector: u64) {
        if let Some(shortest) = self.shortest.take() {
            self.durable.truncate(shortest);
        }
        self.durable.resize(self.seen.len(), 0);
        for (number, versions) in std::mem::take(&mut self.pending) {
            if let Some(last) = versions.last() {
                put_sector(&mut self.durable, number, sector, last);
            }
        }
    }

    /// A sync that fails: some of what was written arrives, the rest never will, although it may still be seen.
    /// `forget` says that some of the rest is not even seen any more.
    pub(crate) fn fail_sync(&mut self, sector: u64, forget: bool, rng: &mut Rng) {
        for (number, versions) in std::mem::take(&mut self.pending) {
            let Some(last) = versions.last() else {
                continue;
            };
            match rng.below(3) {
                0 if index((number + 1) * sector) <= self.durable.len() => {
                    put_sector(&mut self.durable, number, sector, last);
                }
                1 if forget => {
                    let old = sector_of(&self.durable, number, sector);
                    put_sector(&mut self.seen, number, sector, &old);
                }
                _ => {}
            }
        }
    }

    /// What is left of the file after a power cut.
    pub(crate) fn after_cut(&self, fate: Fate, sector: u64, rng: &mut Rng) -> Inode {
        let mut left = self.durable.clone();
        let kept = |rng: &mut Rng| match fate {
            Fate::AllDropped => false,
            Fate::AllKept => true,
            Fate::Mixed | Fate::Torn => rng.one_in(2),
        };
        if let Some(shortest) = self.shortest
            && kept(rng)
        {
            left.truncate(shortest);
        }
        if left.len() != self.seen.len() && kept(rng) {
            let mut len = self.seen.len();
            if fate == Fate::Torn && left.len() < len && rng.one_in(3) {
                let between = (len - left.len()) as u64;
                len = left.len() + index(rng.below(between + 1) / sector * sector);
            }
            left.resize(len, 0);
        }
        for (number, versions) in &self.pending {
            let Some(last) = versions.last() else {
                continue;
            };
            if !kept(rng) {
                continue;
            }
            let mut content = match fate {
                Fate::AllDropped | Fate::AllKept => last.clone(),
                Fate::Mixed | Fate::Torn => {
                    versions[index(rng.below(versions.len() as u64))].clone()
                }
            };
            if fate == Fate::Torn && rng.one_in(3) {
                tear(&mut content, &sector_of(&left, *number, sector), rng);
            }
            put_sector(&mut left, *number, sector, &content);
        }
        let mut inode = Inode {
            seen: left.clone(),
            durable: left,
            ..Inode::default()
        };
        let still = |block: &u64| block * BLOCK < inode.seen.len() as u64;
        inode.blocks = self.blocks.iter().copied().filter(still).collect();
        inode
    }

    /// Changes the medium itself, as decay does.
    pub(crate) fn damage(&mut self, change: impl Fn(&mut Vec<u8>)) {
        change(&mut self.seen);
        change(&mut self.durable);
    }
}

/// Half new, half old, cut at a 512-byte boundary or anywhere.
fn tear(new: &mut [u8], old: &[u8], rng: &mut Rng) {
    let mut at = index(rng.below(new.len() as u64));
    if new.len() > 512 && rng.one_in(2) {
        at = at / 512 * 512;
    }
    if rng.one_in(2) {
        new[at..].copy_from_slice(&old[at..]);
    } else {
        new[..at].copy_from_slice(&old[..at]);
    }
}

fn sector_of(bytes: &[u8], number: u64, sector: u64) -> Vec<u8> {
    let from = index(number * sector).min(bytes.len());
    let to = index((number + 1) * sector).min(bytes.len());
    let mut content = bytes[from..to].to_vec();
    content.resize(index(sector), 0);
    content
}

fn put_sector(bytes: &mut [u8], number: u64, sector: u64, content: &[u8]) {
    let from = index(number * sector).min(bytes.len());
    let to = index((number + 1) * sector).min(bytes.len());
    bytes[from..to].copy_from_slice(&content[..to - from]);
}

/// A position as an index.
pub(crate) fn index(position: u64) -> usize {
    usize::try_from(position).expect("simulated files are small")
}
