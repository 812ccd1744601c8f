//! The real binary, in a cage of little memory, under every attack there is a name for, while an honest client works.
//!
//! What must hold: the honest client reads exactly what it wrote, at once and after a restart; nothing panics; memory
//! stays in its bounds; the log names every client whose frame was refused; the broker stops when it is told to.
//!
//! `OTTLA_HOSTILE=long` attacks every version of every API instead of the oldest and the newest, and throws more.
//! `OTTLA_HOSTILE_SEED=n` replays a run: a failure prints its seed. `OTTLA_HOSTILE_ONLY=text` runs the attacks with that in their names.

mod arena;
mod broker;
#[path = "../kill/client.rs"]
mod client;
mod connections;
mod frames;
mod honest;
mod load;
mod records;
mod request;
mod soak;
mod wire;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arena::{Arena, Effort};
use broker::{Broker, Cage};
use honest::Honest;

/// Bytes of memory that all attacks together may leave behind.
const GROWTH_MAX: u64 = 64 << 20;

/// Longer than anything is kept that nobody needs: cached records for a minute, read buffers and freed pages for less.
const SETTLE_MAX: Duration = Duration::from_secs(90);

/// Budgets small enough that an attack which gets around one shows: memory for requests, for the block cache, and for
/// rows, of which the honest client alone makes more the faster the machine is.
const SETTINGS: [&str; 4] = [
    "ottla.request.memory.bytes=16777216",
    "ottla.cache.bytes=8388608",
    "ottla.checkpoint.overlay.bytes=1048576",
    "ottla.store.cache.bytes=1048576",
];

#[test]
fn the_broker_outlives_every_attack() {
    let effort = match std::env::var("OTTLA_HOSTILE").as_deref() {
        Ok("long") => Effort::Long,
        _ => Effort::Short,
    };
    let given = std::env::var("OTTLA_HOSTILE_SEED").ok();
    let seed = given
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(new_seed);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let outlived = run(effort, seed, folder.path());
    let mode = if effort == Effort::Long {
        "OTTLA_HOSTILE=long "
    } else {
        ""
    };
    outlived.unwrap_or_else(|problem| {
        panic!("{problem}\nreplay: {mode}OTTLA_HOSTILE_SEED={seed} cargo test --test hostile")
    });
}

fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_nanos()))
}

/// For whoever watches (`--nocapture`).
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn run(effort: Effort, seed: u64, folder: &Path) -> Result<(), String> {
    connections::raise_file_limit();
    let mut broker = Broker::start(folder, 1, &SETTINGS, Cage::SMALL)?;
    say(&format!("seed {seed}; the broker is in {}", broker.cage()));
    let honest = Honest::start(broker.address)?;
    let arena = Arena::prepare(broker.address, effort, seed)?;
    let (begin, _) = broker.memory();
    let attacked = attack(&mut broker, &arena, &honest);
    let log = broker.log();
    let tail = || {
        log.lines()
            .rev()
            .take(20)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join("\n")
    };
    let held = match attacked {
        Ok(held) => held,
        Err(problem) => {
            let hurt = honest.finish().err().unwrap_or_default();
            return Err(format!("{problem}\n{hurt}\n{}", tail()));
        }
    };
    // A few stay: a broker must stop whoever is connected.
    let held: Vec<_> = held.into_iter().step_by(50).collect();
    settled(&broker, begin)?;
    let count = honest.finish()?;
    honest::read_all(broker.address, count)?;
    let named = arena.check_log(&broker.log())?;
    broker.stop()?;
    drop(held);
    let broker = Broker::start(folder, 2, &SETTINGS, Cage::SMALL)?;
    honest::read_all(broker.address, count).map_err(|p| format!("after a restart: {p}"))?;
    broker.stop()?;
    say(&format!(
        "{} frames, {named} refused and named in the log; {count} honest records there and back",
        arena.frames()
    ));
    Ok(())
}

/// Waits until memory is back in its bounds: the allocator gives back what was freed within ten seconds or so.
fn settled(broker: &Broker, begin: u64) -> Result<(), String> {
    let started = Instant::now();
    loop {
        let (now, _) = broker.memory();
        if now.saturating_sub(begin) <= GROWTH_MAX {
            say(&format!(
                "memory settled at {} MiB after {} ms, {} MiB at the beginning",
                now >> 20,
                started.elapsed().as_millis(),
                begin >> 20
            ));
            return Ok(());
        }
        if started.elapsed() > SETTLE_MAX {
            return Err(format!(
                "memory grew from {} to {} MiB",
                begin >> 20,
                now >> 20
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

type Attack = fn(&Arena) -> Result<(), String>;

const ATTACKS: [(&str, Attack); 9] = [
    ("wrong starts", frames::wrong_starts),
    ("cut and lengthened", frames::cut_and_lengthened),
    ("one field changed", frames::one_field_changed),
    ("random", frames::random),
    ("wrong records", frames::wrong_records),
    ("a byte at a time", connections::a_byte_at_a_time),
    ("cut at every byte", connections::cut_at_every_byte),
    ("half closed", connections::half_closed),
    ("as large as allowed", frames::as_large_as_allowed),
];

/// Runs all attacks; returns the connections that are still open.
fn attack(broker: &mut Broker, arena: &Arena, honest: &Honest) -> Result<Vec<wire::Wire>, String> {
    let only = std::env::var("OTTLA_HOSTILE_ONLY").unwrap_or_default();
    for (name, attack) in ATTACKS.into_iter().filter(|(name, _)| name.contains(&only)) {
        watched(name, broker, honest, || attack(arena))?;
    }
    let mut held = watched("deaf", broker, honest, || connections::deaf(arena))?;
    let idle = watched("idle", broker, honest, || connections::idle(arena))?;
    say(&connections::effort_in_words(arena.effort, idle.len()));
    held.extend(idle);
    Ok(held)
}

/// Runs one attack and looks at what it has done to the broker and to the honest client.
fn watched<T>(
    name: &str,
    broker: &mut Broker,
    honest: &Honest,
    attack: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    let (started, before) = (Instant::now(), honest.done());
    broker.forget_peak();
    let result = attack();
    broker
        .check()
        .map_err(|problem| format!("{name}: {problem}"))?;
    let result = result.map_err(|problem| format!("{name}: {problem}"))?;
    if honest.is_hurt() {
        return Err(format!("{name}: it hurt the honest client"));
    }
    let (now, peak) = broker.memory();
    say(&format!(
        "{name}: {} ms, {} honest records, memory {} MiB, at most {} MiB",
        started.elapsed().as_millis(),
        honest.done() - before,
        now >> 20,
        peak >> 20
    ));
    Ok(result)
}
