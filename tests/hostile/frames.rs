//! Attacks by frames: cut, lengthened, random, with one field changed, as large as allowed.

use ottla::api::APIS;
use ottla::protocol::shape::ELEMENTS_MAX;

use crate::arena::{Arena, CHECKED_TOPIC, Effort, Thrower};
use crate::records;
use crate::request::{self, CORRELATION_ID};
use crate::wire::{Outcome, Wire};

/// Bytes that a frame may have by default, and one.
const TOO_LONG: i32 = 104_857_600 + 1;

/// Requests cut at every length, and with bytes behind them.
pub(crate) fn cut_and_lengthened(arena: &Arena) -> Result<(), String> {
    arena.on_each_version(|thrower, api, version| {
        let frame = request::right(api, version, &arena.facts);
        if thrower.throw(&frame)? == Outcome::Refused {
            return Err("a request that is right is refused".to_owned());
        }
        for length in 0..frame.len() {
            thrower
                .throw(&frame[..length])
                .map_err(|e| format!("cut at {length}: {e}"))?;
        }
        for rest in [1, 3, 100, 70_000] {
            let mut longer = frame.clone();
            longer.resize(frame.len() + rest, 0xa5);
            thrower
                .throw(&longer)
                .map_err(|e| format!("{rest} bytes more: {e}"))?;
        }
        Ok(())
    })
}

/// Every field of every request, changed in every way.
pub(crate) fn one_field_changed(arena: &Arena) -> Result<(), String> {
    arena.on_each_version(|thrower, api, version| {
        for change in request::changes(api, version, &arena.facts) {
            let frame = request::changed(api, version, &arena.facts, change);
            thrower
                .throw(&frame)
                .map_err(|problem| format!("{change:?}: {problem}"))?;
        }
        Ok(())
    })
}

/// Random bodies, and right requests with a few bytes changed at random.
pub(crate) fn random(arena: &Arena) -> Result<(), String> {
    let rounds = match arena.effort {
        Effort::Short => 20,
        Effort::Long => 200,
    };
    arena.on_each_version(|thrower, api, version| {
        let right = request::right(api, version, &arena.facts);
        let mut rng = arena.rng(u64::from(version.unsigned_abs()) << 16 | api.key as u64);
        let mut byte = || u8::try_from(rng.below(256)).expect("a byte");
        for round in 0..rounds {
            let mut frame = right.clone();
            if round % 2 == 0 {
                frame.truncate(17);
                frame.extend((0..usize::from(byte())).map(|_| byte()));
            } else {
                for _ in 0..=byte() % 4 {
                    let at = 8 + usize::from(byte()) % (frame.len() - 8);
                    frame[at] = byte();
                }
            }
            thrower
                .throw(&frame)
                .map_err(|e| format!("round {round}, {frame:02x?}: {e}"))?;
        }
        Ok(())
    })
}

/// Lengths that no frame has, keys and versions that nobody serves.
pub(crate) fn wrong_starts(arena: &Arena) -> Result<(), String> {
    for length in [-1, i32::MIN, i32::MAX, TOO_LONG, 0, 0x4745_5420] {
        let mut wire = Wire::connect(arena.address).map_err(|error| error.to_string())?;
        wire.send(&length.to_be_bytes());
        match wire.outcome()? {
            Outcome::Refused => arena.refused(wire.local),
            other => return Err(format!("a length of {length}: {other:?}")),
        }
    }
    let mut thrower = Thrower::new(arena);
    let keys = (-2..100).chain([i16::MAX, i16::MIN]);
    for key in keys {
        for version in [-1, 0, 1, 50, i16::MAX, i16::MIN] {
            let mut frame = key.to_be_bytes().to_vec();
            frame.extend(version.to_be_bytes());
            frame.extend(CORRELATION_ID.to_be_bytes());
            frame.extend([0xff, 0xff, 0, 0]);
            thrower
                .throw(&frame)
                .map_err(|e| format!("key {key} v{version}: {e}"))?;
        }
    }
    Ok(())
}

/// Batches with one thing wrong, and bombs, for every API that takes records.
pub(crate) fn wrong_records(arena: &Arena) -> Result<(), String> {
    let wrong = records::wrong();
    for topic in [&arena.facts.topic, CHECKED_TOPIC] {
        arena.on_each_version(|thrower, api, version| {
            if !request::takes_records(api, version, &arena.facts) {
                return Ok(());
            }
            let mut facts = arena.facts.clone();
            facts.topic = topic.to_owned();
            for (what, records) in &wrong {
                facts.records = records.clone();
                let frame = request::right(api, version, &facts);
                let outcome = thrower.ask(&frame).map_err(|e| format!("{what}: {e}"))?;
                if !matches!(outcome, Outcome::Answered(_)) {
                    return Err(format!("{what}: {outcome:?}: wrong records have a code"));
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Each array of each request, with as many elements as one request may have and with more, from several at once.
pub(crate) fn as_large_as_allowed(arena: &Arena) -> Result<(), String> {
    let most = usize::try_from(ELEMENTS_MAX).expect("a count");
    let sizes: &[usize] = match arena.effort {
        Effort::Short => &[4_096],
        Effort::Long => &[most, most + most / 2],
    };
    for api in APIS {
        let version = *api.versions.end();
        for elements in sizes.iter().copied() {
            for change in request::largest(api, version, &arena.facts, elements) {
                let frame = request::changed(api, version, &arena.facts, change);
                let what = format!("{:?} v{version}, {elements} in {}", api.key, change.name);
                thrown_at_once(arena, &frame).map_err(|problem| format!("{what}: {problem}"))?;
            }
        }
    }
    Ok(())
}

/// The same frame from several clients at once.
fn thrown_at_once(arena: &Arena, frame: &[u8]) -> Result<(), String> {
    const CLIENTS: usize = 4;
    std::thread::scope(|scope| {
        let throw = || Thrower::new(arena).throw(frame).map(|_| ());
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(throw)).collect();
        let mut results = clients
            .into_iter()
            .map(|client| client.join().expect("no client panics"));
        results.find(Result::is_err).unwrap_or(Ok(()))
    })
}
