//! The suite under test: what it must catch is built in, and it must find it.
//!
//! A disk that lies about syncs stands for an engine that leaves them out. What can only be left out inside the engine
//! is behind the cargo feature `mutants`.

use std::io;
use std::sync::Arc;

use ottla::store::local::Durability;
use ottla::store::local::disk::{Disk, DiskFile, DiskSpace, OpenHow};
#[cfg(feature = "mutants")]
use ottla::store::local::mutant::Mutant;

use super::cuts::lives;
use super::tell;
use super::world::World;
use crate::disk::SimDisk;

/// Which syncs a lying disk leaves out, although it says that they were done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    Journal,
    Folder,
    Snapshot,
}

#[derive(Debug)]
struct LyingDisk {
    disk: SimDisk,
    lie: Lie,
}

impl LyingDisk {
    fn wrap(disk: SimDisk, lie: Lie) -> Arc<dyn Disk> {
        Arc::new(Self { disk, lie })
    }
}

impl Disk for LyingDisk {
    fn open(&self, name: &str, how: OpenHow) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(name, how)?;
        let lies = match self.lie {
            Lie::Journal => name.starts_with("journal"),
            Lie::Snapshot => name.starts_with("snapshot"),
            Lie::Folder => false,
        };
        Ok(if lies { Arc::new(Unsynced(file)) } else { file })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        match self.lie {
            Lie::Folder => Ok(()),
            Lie::Journal | Lie::Snapshot => self.disk.sync_folder(),
        }
    }

    fn space(&self) -> io::Result<DiskSpace> {
        self.disk.space()
    }

    fn boot_id(&self) -> io::Result<String> {
        self.disk.boot_id()
    }

    fn alignment(&self) -> usize {
        self.disk.alignment()
    }
}

/// A file that is never synced.
#[derive(Debug)]
struct Unsynced(Arc<dyn DiskFile>);

impl DiskFile for Unsynced {
    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, position)
    }

    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, position)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a mutant on seeds until one of them finds it.
fn is_caught(what: &str, seeds: u64, mutate: impl Fn(&mut World)) {
    let caught = (0..seeds).find_map(|seed| {
        let mut world = World::new(seed, Durability::Fsync);
        mutate(&mut world);
        tell(world, lives).err().map(|_| seed)
    });
    assert!(caught.is_some(), "{what}: not caught by {seeds} seeds");
}

#[test]
fn a_sync_that_is_left_out_is_caught() {
    is_caught("no sync of the journal", 30, |world| {
        world.wrap = |disk| LyingDisk::wrap(disk, Lie::Journal);
    });
}

#[test]
fn a_folder_that_is_not_synced_is_caught() {
    is_caught("no sync of the folder", 30, |world| {
        world.wrap = |disk| LyingDisk::wrap(disk, Lie::Folder);
    });
}

#[test]
fn a_snapshot_that_is_believed_before_its_sync_is_caught() {
    is_caught("no sync of snapshots", 200, |world| {
        world.wrap = |disk| LyingDisk::wrap(disk, Lie::Snapshot);
    });
}

/// Runs with a part of the engine left out. The switch is one for the whole process: [`tell`] runs one story at a time.
#[cfg(feature = "mutants")]
fn is_caught_without(mutant: Mutant, seeds: u64) {
    let caught = (0..seeds).find_map(|seed| {
        let story = async |world: &mut World| {
            Mutant::leave_out(Some(mutant));
            let lived = lives(world).await;
            Mutant::leave_out(None);
            lived
        };
        tell(World::new(seed, Durability::Fsync), story)
            .err()
            .map(|_| seed)
    });
    assert!(
        caught.is_some(),
        "{mutant:?} left out: not caught by {seeds} seeds"
    );
}

#[cfg(feature = "mutants")]
#[test]
fn a_version_check_that_is_left_out_is_caught() {
    is_caught_without(Mutant::VersionCheck, 200);
}

#[cfg(feature = "mutants")]
#[test]
fn a_crc_check_that_is_left_out_is_caught() {
    is_caught_without(Mutant::CrcCheck, 200);
}

#[cfg(feature = "mutants")]
#[test]
fn a_segment_that_is_used_again_too_early_is_caught() {
    is_caught_without(Mutant::RecyclingWait, 200);
}
