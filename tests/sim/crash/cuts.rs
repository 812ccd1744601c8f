//! Power cuts and dead processes: after every single change of the disk, and at random for many seeds.

use ottla::store::local::Durability;

use super::sled_folder::SledFate;
use super::workload::Health;
use super::world::{End, World};
use super::{SEEDS, for_seeds, live, tell};
use crate::disk::index;

/// Runs fixed work with an end at each change of the disk in turn, until the work ends before.
fn end_after_every_change(durability: Durability, end: End, default_seeds: u64) {
    for_seeds(default_seeds, |seed| {
        let mut number = 0;
        let mut reached = true;
        while reached {
            number += 1;
            let world = World::new(seed, durability);
            world.disk.cut_at(number);
            tell(world, async |world| {
                reached = live(world, 25, true).await? == Health::Broken
                    || world.disk.changes() >= number;
                let fate = SledFate::ALL[index((number + seed) % 4)];
                world.sled.suffer(fate, &mut world.rng);
                world.refusals = fate == SledFate::Damaged;
                world.end(end);
                live(world, 6, false).await?;
                world.sled.suffer(SledFate::Kept, &mut world.rng);
                world.end(End::PowerCut);
                live(world, 0, true).await.map(|_| ())
            })
            .map_err(|report| format!("ended at change {number}: {report}"))?;
        }
        Ok(())
    });
}

#[test]
fn a_power_cut_after_every_change_fsync() {
    end_after_every_change(Durability::Fsync, End::PowerCut, 1);
}

#[test]
fn a_power_cut_after_every_change_os() {
    end_after_every_change(Durability::Os, End::PowerCut, 1);
}

#[test]
fn a_dead_process_after_every_change_fsync() {
    end_after_every_change(Durability::Fsync, End::ProcessDeath, 1);
}

#[test]
fn a_dead_process_after_every_change_os() {
    end_after_every_change(Durability::Os, End::ProcessDeath, 1);
}

/// Several lives with work of random length, ends of either kind, and sled's folder in any state.
pub(super) async fn lives(world: &mut World) -> Result<(), String> {
    for _ in 0..=2 + world.rng.below(3) {
        if !world.rng.one_in(4) {
            let within = if world.rng.one_in(4) { 15 } else { 200 };
            let soon = 1 + world.rng.below(within);
            world.disk.cut_at(world.disk.changes() + soon);
        }
        let batches = 2 + world.rng.below(40);
        let close = world.rng.one_in(3);
        live(world, batches, close).await?;
        if world.rng.one_in(3) {
            world.sled.keep_copy();
        }
        if world.rng.one_in(2) {
            let fate = SledFate::ALL[index(world.rng.below(4))];
            world.sled.suffer(fate, &mut world.rng);
            // A sled that fails only later is made anew while the store works, and commits are refused meanwhile.
            world.refusals = fate == SledFate::Damaged;
        } else {
            world.refusals = false;
        }
        let dies = world.rng.one_in(3);
        world.end(if dies {
            End::ProcessDeath
        } else {
            End::PowerCut
        });
    }
    live(world, 3, true).await?;
    world.end(End::PowerCut);
    live(world, 0, true).await.map(|_| ())
}

fn many_lives(durability: Durability) {
    for_seeds(SEEDS, |seed| tell(World::new(seed, durability), lives));
}

#[test]
fn many_lives_fsync() {
    many_lives(Durability::Fsync);
}

#[test]
fn many_lives_os() {
    many_lives(Durability::Os);
}
