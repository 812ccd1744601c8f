//! The crash suite: a seeded workload on a simulated disk, a plain model beside it, and every kind of bad end.
//!
//! A commit that was acknowledged (in `os` mode: and synced) is there afterwards, once, at its place, with its bytes; one
//! that was not is there wholly or not at all; the order is kept; what was read is not taken back. After each bad end the
//! store goes on working on what is left, and meets the next.
//!
//! `OTTLA_SIM_SEED=n` runs one seed again, `OTTLA_SIM_SEEDS=n` runs n seeds of the cheap tests and as many more of the dear ones. The engine has threads of its own, so a seed
//! fixes the work and the faults but not how the threads interleave: a rare failure may need several runs to come again.

mod cuts;
mod damage;
mod faults;
mod log_start;
mod model;
mod mutants;
mod sled_folder;
mod workload;
mod world;

use std::time::Duration;

use workload::Health;
use world::World;

/// Longer than any run takes: a store that hangs is a failure with a seed, not a test that never ends.
const RUN_MAX: Duration = Duration::from_secs(60);

/// What is left out of the engine is left out of all engines in the process.
#[cfg(feature = "mutants")]
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Seeds of a cheap test where nobody asks for more.
const SEEDS: u64 = 60;

/// Tries a test with many seeds: `count` of them, or in proportion to what is asked for.
fn for_seeds(count: u64, test: impl Fn(u64) -> Result<(), String>) {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("OTTLA_SIM_SEED") {
        for _ in 0..20 {
            test(seed).unwrap_or_else(|report| panic!("seed {seed}: {report}"));
        }
        return;
    }
    let asked_for = number("OTTLA_SIM_SEEDS").unwrap_or(SEEDS);
    for seed in 0..(count * asked_for / SEEDS).max(1) {
        test(seed).unwrap_or_else(|report| panic!("seed {seed}: {report}"));
    }
}

/// Runs one machine's story; a failure comes with what is needed to see it again.
fn tell(
    mut world: World,
    story: impl AsyncFnOnce(&mut World) -> Result<(), String>,
) -> Result<(), String> {
    #[cfg(feature = "mutants")]
    let _alone = ALONE.lock();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let told = runtime.block_on(async {
        let told = tokio::time::timeout(RUN_MAX, story(&mut world)).await;
        told.unwrap_or_else(|_| Err("the store hangs".into()))
    });
    let told = told.and_then(|()| match world.disk.misaligned() {
        Some(what) => Err(format!("direct access out of alignment: {what}")),
        None => Ok(()),
    });
    told.map_err(|problem| world.report(&problem))
}

/// One life of the store: open, compare, work, and end without a word, or with a close before.
async fn live(world: &mut World, batches: u64, close: bool) -> Result<Health, String> {
    let store = match world.open() {
        Ok(store) => store,
        Err(_) if world.disk.is_off() => return Ok(Health::Broken),
        Err(error) => return Err(format!("the store does not open: {error}")),
    };
    let verified = world.verify(&*store).await;
    let health = match verified {
        Err(_) if world.disk.is_off() => Health::Broken,
        Err(problem) => return Err(problem),
        Ok(()) => world.work(&*store, batches).await?,
    };
    if close && health == Health::Well {
        world.close(&*store).await?;
    }
    world.disk.stop();
    drop(store);
    Ok(health)
}
