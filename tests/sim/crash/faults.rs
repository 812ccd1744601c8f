//! I/O errors, a full disk, and file systems without direct access.

use std::time::Duration;

use ottla::store::local::Durability;
use ottla::store::{Store, StoreError};

use super::workload::Health;
use super::world::{End, World};
use super::{for_seeds, live, tell};
use crate::disk::DirectAccess;

/// One change, or all from one on, fail with an I/O error while the store works.
fn io_errors(durability: Durability, default_seeds: u64) {
    for_seeds(default_seeds, |seed| {
        tell(World::new(seed, durability), async |world| {
            world.refusals = true;
            world.forgetful = durability == Durability::Os && world.rng.one_in(2);
            world
                .disk
                .set_forgetful(durability == Durability::Fsync || world.forgetful);
            for _ in 0..2 {
                let store = world.open().map_err(|error| error.to_string())?;
                world.verify(&*store).await?;
                let from = world.disk.changes() + 1 + world.rng.below(100);
                let until = if world.rng.one_in(3) {
                    u64::MAX
                } else {
                    from + 1
                };
                world.disk.fail_changes(from..until);
                if world.work(&*store, 30).await? == Health::Broken {
                    // Whatever else it is asked now, nothing may be acknowledged.
                    world.work(&*store, 3).await?;
                }
                world.disk.stop();
                drop(store);
                let end = if world.rng.one_in(2) {
                    End::ProcessDeath
                } else {
                    End::PowerCut
                };
                world.end(end);
            }
            live(world, 3, false).await?;
            world.end(End::PowerCut);
            live(world, 0, true).await.map(|_| ())
        })
    });
}

#[test]
fn io_errors_fsync() {
    io_errors(Durability::Fsync, 40);
}

#[test]
fn io_errors_os() {
    io_errors(Durability::Os, 40);
}

#[test]
fn an_io_error_while_opening_is_told_and_harms_nothing() {
    for_seeds(3, |seed| {
        tell(World::new(seed, Durability::Fsync), async |world| {
            live(world, 12, false).await?;
            world.end(End::PowerCut);
            for number in 1.. {
                let before = world.disk.changes();
                world
                    .disk
                    .fail_changes(before + number..before + number + 1);
                let opened = world.open();
                let changes = world.disk.changes() - before;
                world.disk.stop();
                drop(opened);
                world.end(End::ProcessDeath);
                let store = world.open().map_err(|error| error.to_string())?;
                world.verify(&*store).await?;
                world.disk.stop();
                drop(store);
                world.end(End::PowerCut);
                if changes < number {
                    break;
                }
            }
            live(world, 3, true).await.map(|_| ())
        })
    });
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    for_seeds(12, |seed| {
        tell(World::new(seed, Durability::Fsync), async |world| {
            world.refusals = true;
            let capacity = (1 << 20) + world.rng.below(2 << 20);
            world.disk.set_capacity(capacity);
            let store = world.open().map_err(|error| error.to_string())?;
            let mut full = 0;
            for _ in 0..3000 {
                let refusal = world.commit_one_body(&*store).await?;
                full += u32::from(refusal == Some(Refusal::Full));
                if full == 100 {
                    break;
                }
            }
            if full < 100 {
                return Err(format!("{capacity} bytes are never full"));
            }
            let rows = world.scan_all(&*store).await?;
            world.check_bodies(&*store, &rows).await?;
            // Deletes are taken, and make room.
            for _ in 0..60 {
                world.delete_all_rows(&*store).await?;
                world.tidy(&*store).await?;
                if world.commit_one_body(&*store).await?.is_none() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            if world.commit_one_body(&*store).await?.is_some() {
                return Err("deleting everything makes no room".into());
            }
            world.disk.set_capacity(1 << 30);
            world.work(&*store, 10).await?;
            world.disk.stop();
            drop(store);
            world.end(End::PowerCut);
            live(world, 3, true).await.map(|_| ())
        })
    });
}

#[test]
fn direct_access_may_be_refused_at_open_or_at_the_first_write() {
    for direct in [DirectAccess::RefusedAtOpen, DirectAccess::RefusedAtWrite] {
        for_seeds(4, |seed| {
            let world = World::new(seed, Durability::Fsync);
            world.disk.set_direct_access(direct);
            tell(world, async |world| {
                for _ in 0..3 {
                    world
                        .disk
                        .cut_at(world.disk.changes() + 20 + world.rng.below(80));
                    live(world, 12, true).await?;
                    world.end(End::PowerCut);
                }
                live(world, 3, true).await.map(|_| ())
            })
        });
    }
}

/// How a commit was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Full,
    Other,
}

impl Refusal {
    pub(super) fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Full { .. } => Refusal::Full,
            StoreError::Unavailable { .. }
            | StoreError::Unknown { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Missing(_)
            | StoreError::Fenced { .. }
            | StoreError::Poisoned { .. }
            | StoreError::Closed => Refusal::Other,
        }
    }
}

impl World {
    /// Takes every row away with commits of deletes only; they must be done.
    async fn delete_all_rows(&mut self, store: &dyn Store) -> Result<(), String> {
        let keys = self.model.rows().into_keys().collect();
        let health = self.kill(store, keys).await?;
        if health == Health::Well && !self.model.rows().is_empty() {
            return Err("a full disk refuses deletes".into());
        }
        match health {
            Health::Well => Ok(()),
            Health::Broken => Err("a full disk breaks the store".into()),
        }
    }
}
