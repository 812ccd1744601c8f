//! Random members that join, stall, leave, crash and rejoin, in virtual time, and a broker that restarts. Held at any
//! time: within a generation a partition has at most one owner; an assignment covers all partitions; a committed
//! offset is what was committed last; nobody waits longer than the largest rebalance timeout and a session.
//!
//! `SEED=n` plays one seed and prints what happens.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::testing::{settings, subscription};
use super::*;
use crate::base::{PartitionNumber, Rng};
use crate::store::{Key, Space, Write};

const SEEDS: u64 = 2_000;
const STEPS: usize = 120;
const PARTITIONS: u32 = 6;
const GROUP: &str = "g";
const SESSION_MS: i32 = 6_000;
const REBALANCE_MS_MAX: i32 = 20_000;
const INITIAL_DELAY_MS: i32 = 1_000;

/// What a client does next.
#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Out,
    Joins(Ticket),
    Joined { members: Vec<MemberId> },
    Syncs(Ticket),
    Owns(Vec<u32>),
}

#[derive(Clone, Debug)]
struct Client {
    phase: Phase,
    id: MemberId,
    instance: Option<Arc<str>>,
    generation: i32,
    rebalance_ms: i32,
    /// It sends heartbeats and does not sync.
    lazy: bool,
    /// It does nothing until then.
    stalled_until_ms: i64,
    waits_since_ms: i64,
}

struct World {
    rng: Rng,
    now_ms: i64,
    groups: Groups,
    rows: BTreeMap<Key, Bytes>,
    clients: Vec<Client>,
    tickets: u64,
    ids: u64,
    /// Whose request a ticket is.
    waiting: HashMap<Ticket, usize>,
    /// Who was given which partition, by generation.
    owners: HashMap<(i32, u32), Arc<str>>,
    offsets: BTreeMap<PartitionNumber, i64>,
    loud: bool,
    stable_seen: bool,
}

#[test]
fn thousands_of_random_groups_keep_their_promises() {
    let one = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let mut stable = 0;
    for seed in one.map_or(0..SEEDS, |seed| seed..seed + 1) {
        let mut world = World::new(seed, one.is_some());
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..STEPS).for_each(|_| world.step());
            world.settle();
        }));
        if let Err(panic) = ran {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("SEED={seed} replays it: {text}");
        }
        stable += u64::from(world.stable_seen);
    }
    assert!(
        one.is_some() || stable == SEEDS,
        "only {stable} of {SEEDS} seeds got stable"
    );
}

impl World {
    fn new(seed: u64, loud: bool) -> Self {
        let mut rng = Rng::seeded(seed);
        let settings = Settings {
            initial_rebalance_delay_ms: if rng.one_in(2) { INITIAL_DELAY_MS } else { 0 },
            ..settings()
        };
        let clients = (0..2 + rng.below(4)).map(|number| Client {
            phase: Phase::Out,
            id: Arc::from(""),
            instance: rng.one_in(3).then(|| Arc::from(format!("i{number}"))),
            generation: -1,
            rebalance_ms: 5_000 + i32::try_from(rng.below(15_001)).unwrap(),
            lazy: false,
            stalled_until_ms: 0,
            waits_since_ms: 0,
        });
        Self {
            clients: clients.collect(),
            now_ms: 0,
            groups: Groups::new(settings),
            rows: BTreeMap::new(),
            tickets: 0,
            ids: 0,
            waiting: HashMap::new(),
            owners: HashMap::new(),
            offsets: BTreeMap::new(),
            loud,
            stable_seen: false,
            rng,
        }
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0 => self.restart(),
            1..=3 => self.stall(),
            4..=5 => self.crash(),
            6..=7 => self.leave(),
            8 => {
                let client = self.any();
                self.clients[client].lazy ^= true;
            }
            _ => {
                let client = usize::try_from(self.rng.below(self.clients.len() as u64)).unwrap();
                self.act(client);
            }
        }
        let ms = i64::try_from(self.rng.below(600)).unwrap();
        self.pass(ms);
    }

    /// Everybody behaves: the group must become stable, with everybody in it and every partition owned.
    fn settle(&mut self) {
        for client in &mut self.clients {
            client.stalled_until_ms = 0;
            client.lazy = false;
        }
        let until_ms = self.now_ms + 4 * i64::from(REBALANCE_MS_MAX + SESSION_MS);
        while self.now_ms < until_ms {
            (0..self.clients.len()).for_each(|client| self.act(client));
            self.pass(500);
        }
        let mut owned = HashSet::new();
        for client in &self.clients {
            let Phase::Owns(partitions) = &client.phase else {
                panic!("not stable in the end: {client:?}");
            };
            owned.extend(partitions.iter().copied());
        }
        assert_eq!(
            owned.len(),
            usize::try_from(PARTITIONS).unwrap(),
            "all partitions are owned"
        );
    }

    /// Time passes; what is due happens when it is due.
    fn pass(&mut self, ms: i64) {
        let until_ms = self.now_ms + ms;
        while let Some(due_ms) = self.deadline_ms().filter(|due_ms| *due_ms <= until_ms) {
            self.now_ms = self.now_ms.max(due_ms);
            self.ask(None, &Command::Expire);
        }
        self.now_ms = until_ms;
        self.check();
    }

    fn deadline_ms(&self) -> Option<i64> {
        self.groups.get(GROUP)?.classic().next_deadline_ms()
    }

    fn check(&mut self) {
        let limit_ms = i64::from(REBALANCE_MS_MAX + SESSION_MS + INITIAL_DELAY_MS);
        for client in &self.clients {
            if matches!(client.phase, Phase::Joins(_) | Phase::Syncs(_)) {
                let waited_ms = self.now_ms - client.waits_since_ms;
                assert!(waited_ms <= limit_ms, "waited {waited_ms} ms: {client:?}");
            }
        }
        let group = self.groups.get(GROUP);
        let kept = group
            .map(|group| group.offsets().clone())
            .unwrap_or_default();
        let kept: BTreeMap<_, _> = kept
            .iter()
            .map(|(partition, offset)| (*partition, offset.offset))
            .collect();
        assert_eq!(kept, self.offsets, "what was committed last");
        if group.is_some_and(|group| group.classic().state() == State::Stable) {
            self.stable_seen = true;
            self.check_coverage();
        }
    }

    /// Every partition is assigned to exactly one member.
    fn check_coverage(&self) {
        let group = self.groups.describe(GROUP).expect("a stable group");
        let mut assigned: Vec<u8> = group
            .members
            .iter()
            .flat_map(|member| member.assignment.to_vec())
            .collect();
        assigned.sort_unstable();
        let all: Vec<u8> = (0..u8::try_from(PARTITIONS).unwrap()).collect();
        assert_eq!(assigned, all, "coverage of {group:?}");
    }

    fn stall(&mut self) {
        let client = self.any();
        let ms = i64::try_from(self.rng.below(30_000)).unwrap();
        self.clients[client].stalled_until_ms = self.now_ms + ms;
        self.tell(client, format_args!("stalls for {ms} ms"));
    }

    /// All that the client knew is gone; a static one keeps its instance id.
    fn crash(&mut self) {
        let client = self.any();
        self.tell(client, format_args!("crashes"));
        self.waiting.retain(|_, owner| *owner != client);
        let client = &mut self.clients[client];
        client.phase = Phase::Out;
        client.id = Arc::from("");
        client.generation = -1;
    }

    fn leave(&mut self) {
        let client = self.any();
        let member = &self.clients[client];
        if member.id.is_empty() || matches!(member.phase, Phase::Joins(_) | Phase::Syncs(_)) {
            return;
        }
        let leaving = Leaving {
            member_id: member.id.clone(),
            instance_id: member.instance.clone(),
            reason: None,
        };
        self.ask(Some(client), &Command::Leave(vec![leaving]));
        let client = &mut self.clients[client];
        (client.phase, client.id) = (Phase::Out, Arc::from(""));
    }

    fn any(&mut self) -> usize {
        usize::try_from(self.rng.below(self.clients.len() as u64)).unwrap()
    }

    /// What a consumer does in its phase.
    fn act(&mut self, client: usize) {
        if self.clients[client].stalled_until_ms > self.now_ms {
            return;
        }
        match self.clients[client].phase.clone() {
            Phase::Joins(_) | Phase::Syncs(_) => {}
            Phase::Out => self.join(client),
            Phase::Joined { members } if !self.clients[client].lazy => self.sync(client, &members),
            Phase::Owns(partitions) if self.rng.one_in(2) && !partitions.is_empty() => {
                self.commit(client, &partitions);
            }
            Phase::Joined { .. } | Phase::Owns(_) => {
                let who = self.who(client);
                self.ask(Some(client), &Command::Heartbeat(who));
            }
        }
    }

    fn who(&self, client: usize) -> Identity {
        let client = &self.clients[client];
        Identity {
            member_id: client.id.clone(),
            instance_id: client.instance.clone(),
            generation: client.generation,
        }
    }

    fn join(&mut self, client: usize) {
        self.ids += 1;
        let member = &self.clients[client];
        let join = Join {
            member_id: member.id.clone(),
            instance_id: member.instance.clone(),
            new_member_id: Arc::from(format!("m{}", self.ids)),
            client_id: Arc::from("c"),
            client_host: Arc::from("/h"),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: member.rebalance_ms,
            protocol_type: Arc::from("consumer"),
            protocols: Arc::from([Protocol {
                name: Arc::from("range"),
                metadata: subscription("orders"),
            }]),
            reason: None,
            new_member: NewMember::IdFirst,
            static_leader: StaticLeader::SkipsAssignment,
        };
        self.ask(Some(client), &Command::Join(Box::new(join)));
    }

    /// The leader deals the partitions out in turn.
    fn sync(&mut self, client: usize, members: &[MemberId]) {
        let deal = |(index, id): (usize, &MemberId)| {
            let count = u32::try_from(members.len()).unwrap();
            let own = (0..PARTITIONS)
                .filter(|partition| usize::try_from(partition % count).unwrap() == index);
            let own: Vec<u8> = own
                .map(|partition| u8::try_from(partition).unwrap())
                .collect();
            (id.clone(), Bytes::from(own))
        };
        let sync = Sync {
            who: self.who(client),
            protocol_type: Some(Arc::from("consumer")),
            protocol_name: Some(Arc::from("range")),
            assignments: members.iter().enumerate().map(deal).collect(),
        };
        self.ask(Some(client), &Command::Sync(Box::new(sync)));
    }

    fn commit(&mut self, client: usize, partitions: &[u32]) {
        let number = PartitionNumber(partitions[0]);
        let offset = self.offsets.get(&number).copied().unwrap_or(-1) + 1;
        let commit = OffsetCommit {
            who: self.who(client),
            retention_ms: None,
            partitions: vec![PartitionCommit {
                of: TopicPartition {
                    topic: Arc::from("orders"),
                    index: i32::try_from(number.0).unwrap(),
                    partition: number,
                },
                offset,
                leader_epoch: 0,
                metadata: Arc::from(""),
            }],
        };
        self.ask(Some(client), &Command::Commit(Box::new(commit)));
        let group = self.groups.get(GROUP).expect("a group with members");
        let kept = group.offsets().get(&number).map(|kept| kept.offset);
        if kept == Some(offset) {
            let holder = self
                .owners
                .get(&(self.clients[client].generation, number.0));
            assert_eq!(
                holder.map(|holder| &**holder),
                Some(&*self.name(client)),
                "only the owner of {number:?} commits it"
            );
            self.offsets.insert(number, offset);
        }
    }

    /// What a client is called: a static one is the same after it has returned.
    fn name(&self, client: usize) -> Arc<str> {
        let client = &self.clients[client];
        client.instance.clone().unwrap_or_else(|| client.id.clone())
    }

    fn ask(&mut self, client: Option<usize>, command: &Command) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        if let Some(client) = client {
            self.waiting.insert(ticket, client);
            self.tell(client, format_args!("asks {command:?}"));
        }
        let decision = self.groups.decide(self.now_ms, ticket, GROUP, command);
        let parks = decision
            .replies
            .iter()
            .all(|(answered, _)| *answered != ticket);
        if let (Some(client), true) = (client, parks) {
            let client = &mut self.clients[client];
            client.waits_since_ms = self.now_ms;
            client.phase = match command {
                Command::Sync(_) => Phase::Syncs(ticket),
                _ => Phase::Joins(ticket),
            };
        }
        for write in decision.writes {
            match write {
                Write::Put { key, value, .. } => self.rows.insert(key, value),
                Write::Delete { key } => self.rows.remove(&key),
                Write::Append { .. } => panic!("groups append nothing"),
            };
        }
        self.groups
            .apply(self.now_ms, &Arc::from(GROUP), decision.changes);
        for (ticket, reply) in decision.replies {
            if let Some(client) = self.waiting.remove(&ticket) {
                self.tell(client, format_args!("hears {reply:?}"));
                self.hear(client, reply);
            }
        }
    }

    fn hear(&mut self, client: usize, reply: Reply) {
        let name = self.name(client);
        let member = &mut self.clients[client];
        let error = match reply {
            Reply::Join(Ok(joined)) => {
                (member.id, member.generation) = (joined.member_id, joined.generation);
                let members = joined.members.into_iter().map(|member| member.member_id);
                member.phase = Phase::Joined {
                    members: members.collect(),
                };
                None
            }
            Reply::Join(Err(refused)) if refused.error == GroupError::MemberIdRequired => {
                (member.id, member.phase) = (refused.member_id, Phase::Out);
                None
            }
            Reply::Join(Err(refused)) => Some(refused.error),
            Reply::Sync(Ok(synced)) => {
                let owned: Vec<u32> = synced
                    .assignment
                    .iter()
                    .map(|byte| u32::from(*byte))
                    .collect();
                for partition in &owned {
                    let key = (member.generation, *partition);
                    let owner = self.owners.entry(key).or_insert_with(|| name.clone());
                    assert_eq!(*owner, name, "two owners of {key:?}");
                }
                member.phase = Phase::Owns(owned);
                None
            }
            Reply::Sync(Err(error)) => Some(error),
            Reply::Heartbeat(result) => result.err(),
            Reply::Commit(Err(error)) | Reply::Leave(Err(error)) => Some(error),
            Reply::Commit(Ok(_)) | Reply::Leave(Ok(_)) | Reply::Done => None,
            Reply::DeleteOffsets(_) | Reply::Delete(_) => panic!("nobody asked"),
        };
        match error {
            None => {}
            Some(GroupError::RebalanceInProgress | GroupError::IllegalGeneration) => {
                member.phase = Phase::Out;
            }
            Some(GroupError::UnknownMemberId | GroupError::FencedInstanceId) => {
                (member.phase, member.id) = (Phase::Out, Arc::from(""));
            }
            Some(other) => panic!("a consumer that behaves is not told {other:?}"),
        }
    }

    /// The broker loses all but its rows; requests that wait are lost with their connections.
    fn restart(&mut self) {
        if self.loud {
            eprint_line(self.now_ms, "the broker restarts");
        }
        for client in &mut self.clients {
            if matches!(client.phase, Phase::Joins(_) | Phase::Syncs(_)) {
                client.phase = Phase::Out;
            }
        }
        self.waiting.clear();
        self.groups = Groups::new(settings());
        for (key, value) in self.rows.clone() {
            let (group_id, change) = match key.space {
                Space::Group => {
                    let group = decode_group(&value, self.now_ms).expect("a group's row");
                    (
                        group_of_key(&key).expect("a key"),
                        Change::Group(Box::new(group)),
                    )
                }
                _ => {
                    let (group_id, partition) = offset_of_key(&key).expect("an offset's key");
                    let index = i32::try_from(partition.0).unwrap();
                    let offset = decode_offset(&value, Arc::from("orders"), index);
                    let offset = Some(offset.expect("an offset's row"));
                    (group_id, Change::Offset { partition, offset })
                }
            };
            self.groups.apply(self.now_ms, &group_id, vec![change]);
        }
        self.check();
    }

    fn tell(&self, client: usize, what: std::fmt::Arguments<'_>) {
        if self.loud {
            eprint_line(self.now_ms, &format!("client {client} {what}"));
        }
    }
}

#[expect(clippy::print_stderr, reason = "whoever replays a seed reads it")]
fn eprint_line(now_ms: i64, what: &str) {
    eprintln!("{now_ms:>8} {what}");
}
