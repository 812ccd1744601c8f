//! `kill -9` of the real binary under load: every acknowledged record is there afterwards, once, at its offset.
//!
//! `OTTLA_KILLS=n` kills n times instead of 20. The kills fall at random moments and into checkpoints, snapshots and segment
//! changes; the log tells whether they did.

mod broker;
mod client;
mod partition;

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use broker::{Broker, Moment};
use client::Client;
use ottla::base::Rng;
use partition::Partition;

/// One way to run the broker and to load it.
#[derive(Clone, Copy, Debug)]
struct Mix {
    durability: &'static str,
    partitions: i32,
    connections: usize,
    idempotent: bool,
}

const MIXES: [Mix; 3] = [
    Mix {
        durability: "fsync",
        partitions: 1,
        connections: 1,
        idempotent: true,
    },
    Mix {
        durability: "fsync",
        partitions: 60,
        connections: 3,
        idempotent: false,
    },
    Mix {
        durability: "os",
        partitions: 12,
        connections: 4,
        idempotent: true,
    },
];

/// Batches that a connection has in flight at most; an idempotent producer may have five per partition.
const IN_FLIGHT_MAX: usize = 5;

#[test]
fn acknowledged_records_survive_kill_9() {
    let kills = std::env::var("OTTLA_KILLS").ok();
    let kills: usize = kills.and_then(|kills| kills.parse().ok()).unwrap_or(20);
    let mut fell_into = [0; 3];
    for (number, mix) in MIXES.into_iter().enumerate() {
        let share = kills / MIXES.len() + usize::from(number < kills % MIXES.len());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let survived = run(mix, share, folder.path(), &mut fell_into);
        survived.unwrap_or_else(|problem| panic!("{mix:?}: {problem}"));
    }
    for moment in Moment::ALL {
        assert!(
            fell_into[moment as usize] > 0,
            "no kill fell into a {moment:?}"
        );
    }
}

/// Starts, loads and kills, again and again on one folder.
fn run(mix: Mix, kills: usize, folder: &Path, fell_into: &mut [u32; 3]) -> Result<(), String> {
    let mut broker = Broker::start(folder, mix.durability)?;
    let mut groups = create(mix, &broker).map_err(|error| error.to_string())?;
    let mut rng = Rng::seeded(7);
    for kill in 0..kills {
        let begin = groups
            .iter()
            .flatten()
            .map(Partition::acknowledged)
            .sum::<usize>();
        let (killed, loaded) = load_and_kill(broker, &mut groups, kill, &mut rng);
        loaded?;
        let end = groups
            .iter()
            .flatten()
            .map(Partition::acknowledged)
            .sum::<usize>();
        if begin == end {
            return Err(format!("kill {kill}: nothing was acknowledged before it"));
        }
        for moment in killed {
            fell_into[moment as usize] += 1;
        }
        broker = Broker::start(folder, mix.durability)?;
        let last = kill + 1 == kills;
        recover(&broker, &mut groups, last || kill % 10 == 9)
            .map_err(|problem| format!("after kill {kill}: {problem}\n{}", broker.log()))?;
    }
    Ok(())
}

/// The topic, and its partitions dealt out to the connections.
fn create(mix: Mix, broker: &Broker) -> std::io::Result<Vec<Vec<Partition>>> {
    let mut client = Client::connect(broker.address)?;
    client.create_topic(mix.partitions)?;
    let mut groups = Vec::new();
    for connection in 0..mix.connections {
        let producer = match mix.idempotent {
            true => Some(client.init_producer_id()?),
            false => None,
        };
        let mine = (0..mix.partitions)
            .skip(connection)
            .step_by(mix.connections);
        groups.push(mine.map(|index| Partition::new(index, producer)).collect());
    }
    Ok(groups)
}

/// Loads the broker from every connection until it is killed at the moment wanted.
fn load_and_kill(
    broker: Broker,
    groups: &mut [Vec<Partition>],
    kill: usize,
    rng: &mut Rng,
) -> (Vec<Moment>, Result<(), String>) {
    let address = broker.address;
    let problems = Mutex::new(Vec::new());
    // Connected before the time to the kill begins: a busy machine may not let a new thread run before it.
    let connected: Result<Vec<Client>, _> =
        groups.iter().map(|_| Client::connect(address)).collect();
    let connected = match connected {
        Ok(connected) => connected,
        Err(error) => return (broker.kill(), Err(error.to_string())),
    };
    let killed = std::thread::scope(|scope| {
        for (group, mut client) in groups.iter_mut().zip(connected) {
            let (mut rng, problems) = (Rng::seeded(rng.next_u64()), &problems);
            scope.spawn(move || {
                if let Err(problem) = load(&mut client, group, &mut rng) {
                    problems.lock().expect("no loader panics").push(problem);
                }
            });
        }
        std::thread::sleep(Duration::from_millis(50 + rng.below(200)));
        if let Some(moment) = Moment::ALL.get(kill % 4) {
            broker.wait_for(*moment, Duration::from_secs(2));
        }
        broker.kill()
    });
    let problems = problems.into_inner().expect("no loader panics");
    (killed, problems.into_iter().next().map_or(Ok(()), Err))
}

/// Produces until the connection breaks, which is no error; a wrong answer is.
fn load(client: &mut Client, group: &mut [Partition], rng: &mut Rng) -> Result<(), String> {
    let mut in_flight = 0;
    loop {
        if in_flight < IN_FLIGHT_MAX {
            let chosen = usize::try_from(rng.below(group.len() as u64)).unwrap_or_default();
            in_flight += 1;
            if group[chosen].send(client, rng).is_err() {
                return Ok(());
            }
            if rng.one_in(2) {
                continue;
            }
        }
        let Ok((index, code, offset)) = client.produced() else {
            return Ok(());
        };
        in_flight -= 1;
        let partition = group
            .iter_mut()
            .find(|partition| partition.index() == index);
        let partition = partition.ok_or_else(|| format!("an answer for partition {index}"))?;
        partition.answered(code, offset)?;
    }
}

/// Checks every partition after a kill.
fn recover(broker: &Broker, groups: &mut [Vec<Partition>], all: bool) -> Result<(), String> {
    let mut client = Client::connect(broker.address).map_err(|error| error.to_string())?;
    for partition in groups.iter_mut().flatten() {
        if all {
            partition.forget();
        }
        partition.recover(&mut client)?;
    }
    Ok(())
}
