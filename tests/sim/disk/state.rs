//! The state of a simulated disk: files, names, and what it has been told to do wrong.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ottla::base::Rng;

use super::inode::{Fate, Inode};
use super::{Cut, DirectAccess, NameFate};

/// Operations that are remembered for a failure's report.
const TRACE_MAX: usize = 150;

/// A change of the folder that has not been synced.
#[derive(Clone, Debug)]
pub(crate) enum NameChange {
    Link {
        name: String,
        inode: u64,
    },
    Unlink {
        name: String,
    },
    Rename {
        from: String,
        to: String,
        inode: u64,
    },
}

/// What an operation has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Do it.
    Do,
    /// Fail, in the way that this kind of operation fails.
    Fail,
    /// The power goes now: do it wholly, or not, and answer with an error.
    DoAndStop,
    Stop,
}

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) rng: Rng,
    pub(crate) sector: u64,
    pub(crate) capacity: u64,
    pub(crate) direct: DirectAccess,
    pub(crate) forgetful: bool,
    /// A sync has failed: files that look clean are no sign that everything is on the medium.
    pub(crate) lost: bool,
    pub(crate) boot: u64,
    pub(crate) off: bool,
    pub(crate) changes: u64,
    pub(crate) reads: u64,
    pub(crate) cut_at: Option<u64>,
    pub(crate) fail_changes: std::ops::Range<u64>,
    pub(crate) fail_reads: std::ops::Range<u64>,
    pub(crate) misaligned: Option<String>,
    pub(crate) inodes: BTreeMap<u64, Inode>,
    pub(crate) names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    name_changes: Vec<NameChange>,
    next_inode: u64,
    trace: VecDeque<String>,
    /// Counted up by the test as commits are acknowledged.
    pub(crate) acknowledged: Arc<AtomicU64>,
    /// What `acknowledged` was when nothing at all was left to sync.
    pub(crate) synced: u64,
}

impl State {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::seeded(seed),
            sector: 512,
            capacity: 1 << 30,
            direct: DirectAccess::Accepted,
            forgetful: true,
            lost: false,
            boot: 1,
            off: false,
            changes: 0,
            reads: 0,
            cut_at: None,
            fail_changes: 0..0,
            fail_reads: 0..0,
            misaligned: None,
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            next_inode: 1,
            trace: VecDeque::new(),
            acknowledged: Arc::default(),
            synced: 0,
        }
    }

    /// Counts a change and says what becomes of it.
    pub(crate) fn begin(&mut self, what: impl FnOnce() -> String) -> io::Result<Step> {
        if self.off {
            return Err(broken());
        }
        self.changes += 1;
        let step = if self.cut_at == Some(self.changes) {
            self.off = true;
            if self.rng.one_in(2) {
                Step::DoAndStop
            } else {
                Step::Stop
            }
        } else if self.fail_changes.contains(&self.changes) {
            Step::Fail
        } else {
            Step::Do
        };
        let note = match step {
            Step::Do => "",
            Step::Fail => " FAILED",
            Step::DoAndStop | Step::Stop => " CUT",
        };
        self.note(|number| format!("{number}: {}{note}", what()));
        Ok(step)
    }

    fn note(&mut self, line: impl FnOnce(u64) -> String) {
        if self.trace.len() == TRACE_MAX {
            self.trace.pop_front();
        }
        self.trace.push_back(line(self.changes));
    }

    /// The last operations, oldest first.
    pub(crate) fn trace(&self) -> String {
        let lines: Vec<&str> = self.trace.iter().map(String::as_str).collect();
        lines.join("\n")
    }

    pub(crate) fn used(&self) -> u64 {
        let named: std::collections::BTreeSet<&u64> = self.names.values().collect();
        let counts = |(number, inode): &(&u64, &Inode)| inode.handles > 0 || named.contains(number);
        let counted = self.inodes.iter().filter(counts);
        counted.map(|(_, inode)| inode.size()).sum()
    }

    /// Whether `more` bytes fit.
    pub(crate) fn fits(&self, more: u64) -> bool {
        more == 0 || self.used() + more <= self.capacity
    }

    pub(crate) fn link(&mut self, name: &str) -> u64 {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(inode, Inode::default());
        self.names.insert(name.into(), inode);
        let name = name.into();
        self.name_changes.push(NameChange::Link { name, inode });
        inode
    }

    pub(crate) fn unlink(&mut self, name: &str) -> io::Result<()> {
        self.names.remove(name).ok_or_else(not_found)?;
        let name = name.into();
        self.name_changes.push(NameChange::Unlink { name });
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.names.remove(from).ok_or_else(not_found)?;
        self.names.insert(to.into(), inode);
        let (from, to) = (from.into(), to.into());
        self.name_changes
            .push(NameChange::Rename { from, to, inode });
        Ok(())
    }

    pub(crate) fn sync_names(&mut self) {
        self.durable_names.clone_from(&self.names);
        self.name_changes.clear();
        self.collect();
        self.note_synced();
    }

    /// Remembers how far the test had got if all is on the medium now.
    pub(crate) fn note_synced(&mut self) {
        let mut named = self
            .names
            .values()
            .filter_map(|inode| self.inodes.get(inode));
        if !self.lost && self.name_changes.is_empty() && !named.any(Inode::dirty) {
            self.synced = self.acknowledged.load(Ordering::SeqCst);
        }
    }

    /// Forgets files that nothing can reach any more.
    pub(crate) fn collect(&mut self) {
        let mut reachable: std::collections::BTreeSet<u64> = self
            .names
            .values()
            .chain(self.durable_names.values())
            .copied()
            .collect();
        for change in &self.name_changes {
            if let NameChange::Link { inode, .. } | NameChange::Rename { inode, .. } = change {
                reachable.insert(*inode);
            }
        }
        self.inodes
            .retain(|number, inode| inode.handles > 0 || reachable.contains(number));
    }

    /// The same disk for the next process: everything written is still there.
    pub(crate) fn next_process(&self) -> Self {
        let mut next = self.clone();
        next.off = false;
        next.cut_at = None;
        next.lost = false;
        next.fail_changes = 0..0;
        next.fail_reads = 0..0;
        for inode in next.inodes.values_mut() {
            inode.handles = 0;
        }
        next.collect();
        next.note(|_| "-- process died, next process --".into());
        next
    }

    /// What the disk holds when the power is back.
    pub(crate) fn next_boot(&self, cut: Cut) -> Self {
        let mut next = self.next_process();
        next.boot += 1;
        next.names = self.names_after(cut.names, &mut next.rng);
        next.durable_names = next.names.clone();
        next.name_changes.clear();
        let (sector, mut rng) = (self.sector, next.rng.clone());
        for inode in next.inodes.values_mut() {
            *inode = inode.after_cut(cut.files, sector, &mut rng);
        }
        next.rng = rng;
        next.collect();
        next.note(|_| format!("-- power cut {cut:?}, next boot --"));
        next
    }

    fn names_after(&self, fate: NameFate, rng: &mut Rng) -> BTreeMap<String, u64> {
        let mut names = self.durable_names.clone();
        let first = rng.below(self.name_changes.len() as u64 + 1);
        for (number, change) in (0..).zip(&self.name_changes) {
            let kept = match fate {
                NameFate::AllDropped => false,
                NameFate::AllKept => true,
                NameFate::InOrder => number < first,
                NameFate::AnyOrder => rng.one_in(2),
            };
            if !kept {
                continue;
            }
            match change {
                NameChange::Link { name, inode } => {
                    names.insert(name.clone(), *inode);
                }
                NameChange::Unlink { name } => {
                    names.remove(name);
                }
                NameChange::Rename { from, to, inode } => {
                    if names.get(from) == Some(inode) {
                        names.remove(from);
                    }
                    names.insert(to.clone(), *inode);
                }
            }
        }
        names
    }

    /// The fate that each cut draws: clean ones and wild ones.
    pub(crate) fn draw_cut(&mut self) -> Cut {
        let files = [
            Fate::AllDropped,
            Fate::AllKept,
            Fate::Mixed,
            Fate::Torn,
            Fate::Torn,
        ];
        let names = [
            NameFate::AllDropped,
            NameFate::AllKept,
            NameFate::InOrder,
            NameFate::AnyOrder,
        ];
        Cut {
            files: files[super::index(self.rng.below(files.len() as u64))],
            names: names[super::index(self.rng.below(names.len() as u64))],
        }
    }
}

/// EIO.
pub(crate) fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

/// ENOENT.
pub(crate) fn not_found() -> io::Error {
    io::Error::from_raw_os_error(2)
}

/// ENOSPC.
pub(crate) fn full() -> io::Error {
    io::Error::from_raw_os_error(28)
}

/// EINVAL, as Linux answers to direct access that it does not like.
pub(crate) fn invalid() -> io::Error {
    io::Error::from_raw_os_error(22)
}

/// EEXIST.
pub(crate) fn exists() -> io::Error {
    io::Error::from_raw_os_error(17)
}
