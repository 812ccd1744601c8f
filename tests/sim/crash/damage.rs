//! Flipped bits and files that are cut off: what was acknowledged comes back as it was, or the damage is told.

use ottla::store::Store;
use ottla::store::local::disk::Disk;
use ottla::store::local::{Durability, OpenError};

use super::sled_folder::SledFate;
use super::world::{End, World};
use super::{for_seeds, tell};
use crate::disk::index;

/// Work, an end with everything known to be durable, then one piece of damage at a time on a copy of the folder.
#[test]
fn damage_is_told_and_never_served() {
    for_seeds(6, |seed| {
        tell(World::new(seed, Durability::Fsync), async |world| {
            let store = world.open().map_err(|error| error.to_string())?;
            world.work(&*store, 25).await?;
            let closed = world.rng.one_in(2);
            if closed {
                world.close(&*store).await?;
            } else {
                world.settle(&*store).await?;
                // An idle store vouches for its last frame with an empty one.
                tokio::time::sleep(
                    world.options.idle_after * 3 + std::time::Duration::from_millis(10),
                )
                .await;
            }
            world.disk.stop();
            drop(store);
            world.end(End::PowerCut);
            world.sled.keep_copy();
            let sound = world.disk.clone();
            for _ in 0..25 {
                world.disk = sound.next_process();
                world.sled.suffer(SledFate::Older, &mut world.rng);
                if world.rng.one_in(2) {
                    world.sled.suffer(SledFate::Deleted, &mut world.rng);
                }
                let what = damage_one(world, closed);
                look(world, what.contains("ottla.properties"))
                    .await
                    .map_err(|problem| format!("{what}: {problem}"))?;
                world.disk.stop();
            }
            Ok(())
        })
    });
}

/// Damages one file; what was done. Files are cut off only where a clean stop knows what was there: the end of a journal that
/// is merely idle is vouched for by a frame that would go with it.
fn damage_one(world: &mut World, cut_off: bool) -> String {
    let names = world.disk.list().expect("the disk is on");
    let name = &names[index(world.rng.below(names.len() as u64))];
    let content = world.disk.content(name).unwrap_or_default();
    if content.is_empty() {
        return format!("{name} is empty");
    }
    // Where something stands, mostly: journals are allocated ahead.
    let used = content.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64 + 1;
    let len = if world.rng.one_in(5) {
        content.len() as u64
    } else {
        used
    };
    let at = index(world.rng.below(len));
    if cut_off && world.rng.one_in(12) {
        world.disk.damage(name, |bytes| bytes.truncate(at));
        return format!("{name} cut off at {at}");
    }
    let bit = world.rng.below(8);
    world.disk.damage(name, |bytes| bytes[at] ^= 1 << bit);
    format!("bit {bit} of byte {at} of {name} flipped")
}

/// Opens the damaged folder: all is as it was, or the damage is told with its place.
async fn look(world: &mut World, meta: bool) -> Result<(), String> {
    let store = match world.open() {
        Ok(store) => store,
        Err(OpenError::Corrupt { place, reason }) if !place.is_empty() && !reason.is_empty() => {
            return Ok(());
        }
        // What the folder is stands in a small text file, checked field by field: a flipped bit may make another sense.
        Err(OpenError::NewerFormat { .. } | OpenError::OtherNode { .. }) if meta => return Ok(()),
        Err(error) => return Err(format!("not told as damage: {error}")),
    };
    let looked = compare(world, &*store).await;
    world.disk.stop();
    drop(store);
    looked
}

async fn compare(world: &mut World, store: &dyn Store) -> Result<(), String> {
    let told = |problem: &str| problem.contains("damage at ");
    let rows = match world.scan_all(store).await {
        Ok(rows) => rows,
        Err(problem) if told(&problem) => return Ok(()),
        Err(problem) => return Err(problem),
    };
    let expected = world.model.rows();
    if rows.len() != expected.len() {
        return Err(format!("{} rows instead of {}", rows.len(), expected.len()));
    }
    for row in &rows {
        world.model.check_row(&expected, row)?;
    }
    for row in &rows {
        match world.check_bodies(store, std::slice::from_ref(row)).await {
            Err(problem) if !told(&problem) && !problem.contains("differs in one bit") => {
                return Err(problem);
            }
            _ => {}
        }
    }
    Ok(())
}
