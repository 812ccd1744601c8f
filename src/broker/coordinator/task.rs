//! The task that owns all groups: takes what waits, decides, commits, answers; and does what time asks for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::super::catalog::CatalogError;
use super::{ASKS_MAX, Answer, Ask, CoordinatorError, CoordinatorParts, MEMBERS_SIZE_MAX, load};
use crate::config::keys;
use crate::group::{
    Change, Command, Effect, Groups, OffsetCommit, Offsets, Reply, Settings, Ticket, group_key,
};
use crate::store::{Commit, Key, Outcome, StoreError, Version, Write};

/// Bytes of rows after which a commit takes no further request.
const COMMIT_SIZE_MAX: usize = 4 << 20;

/// The owner of all groups.
pub(super) struct Task {
    parts: CoordinatorParts,
    retention_check_ms: i64,
    groups: Groups,
    /// Of the groups' own rows, as they were written last.
    versions: HashMap<Arc<str>, Version>,
    /// Groups that are to be read before they can be used.
    unread: HashSet<Arc<str>>,
    tickets: u64,
    waiting: HashMap<Ticket, Waiting>,
    /// When to look at a group, by time; one entry per group that has timers. It may be earlier than its first timer.
    timers: BTreeSet<(i64, Arc<str>)>,
    timer_of: HashMap<Arc<str>, i64>,
    sizes: HashMap<Arc<str>, usize>,
    members_size: usize,
    expire_offsets_at_ms: i64,
}

struct Waiting {
    group_id: Arc<str>,
    answer: oneshot::Sender<Answer>,
}

/// What one commit will answer.
#[derive(Default)]
struct Round {
    writes: BTreeMap<Key, Write>,
    size: usize,
    touched: BTreeSet<Arc<str>>,
    replies: Vec<(Ticket, Reply)>,
    reads: Vec<Box<dyn FnOnce() + Send>>,
    forgotten: Vec<oneshot::Sender<()>>,
}

impl Task {
    pub(super) fn new(parts: CoordinatorParts) -> Self {
        // None of these changes while the broker runs.
        let config = parts.catalog.config();
        let settings = Settings {
            session_timeout_ms_min: config.get(keys::GROUP_MIN_SESSION_TIMEOUT_MS),
            session_timeout_ms_max: config.get(keys::GROUP_MAX_SESSION_TIMEOUT_MS),
            group_size_max: usize::try_from(config.get(keys::GROUP_MAX_SIZE)).unwrap_or(0),
            initial_rebalance_delay_ms: config.get(keys::GROUP_INITIAL_REBALANCE_DELAY_MS).max(0),
            offset_metadata_units_max: usize::try_from(config.get(keys::OFFSET_METADATA_MAX_BYTES))
                .unwrap_or(0),
            offsets_retention_ms: i64::from(config.get(keys::OFFSETS_RETENTION_MINUTES)) * 60_000,
        };
        let retention_check_ms = config.get(keys::OFFSETS_RETENTION_CHECK_INTERVAL_MS);
        Self {
            groups: Groups::new(settings),
            versions: HashMap::new(),
            unread: HashSet::new(),
            tickets: 0,
            waiting: HashMap::new(),
            timers: BTreeSet::new(),
            timer_of: HashMap::new(),
            sizes: HashMap::new(),
            members_size: 0,
            expire_offsets_at_ms: parts.clock.now_ms().saturating_add(retention_check_ms),
            retention_check_ms,
            parts,
        }
    }

    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Ask>) {
        let mut asks = Vec::new();
        loop {
            let wait = self.wait();
            tokio::select! {
                received = queue.recv_many(&mut asks, ASKS_MAX) => {
                    if received == 0 {
                        return;
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
            let mut round = Round::default();
            for ask in asks.drain(..) {
                self.take(ask, &mut round).await;
                if round.size > COMMIT_SIZE_MAX {
                    self.finish(std::mem::take(&mut round)).await;
                }
            }
            self.fire_timers(&mut round);
            self.finish(round).await;
            self.expire_offsets().await;
        }
    }

    /// How long there is nothing to do by itself.
    fn wait(&self) -> Duration {
        let next = self.timers.first().map_or(i64::MAX, |(at_ms, _)| *at_ms);
        let ms = next.min(self.expire_offsets_at_ms) - self.parts.clock.now_ms();
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }

    async fn take(&mut self, ask: Ask, round: &mut Round) {
        match ask {
            Ask::Command {
                group_id,
                command,
                answer,
            } => {
                if let Err(error) = self.admit(&group_id, &command).await {
                    let _ = answer.send(Err(error));
                    return;
                }
                let ticket = self.ticket();
                let waiting = Waiting {
                    group_id: group_id.clone(),
                    answer,
                };
                self.waiting.insert(ticket, waiting);
                self.decide(ticket, &group_id, &command, round);
            }
            Ask::Read(read) => round.reads.push(read(&self.groups)),
            Ask::Forget(partitions, done) => {
                let known = |offsets: &Offsets| {
                    partitions
                        .iter()
                        .any(|partition| offsets.contains_key(partition))
                };
                let groups = self
                    .groups
                    .iter()
                    .filter(|(_, group)| known(group.offsets()));
                let group_ids: Vec<_> = groups.map(|(group_id, _)| group_id.clone()).collect();
                let command = Command::ForgetPartitions(partitions);
                for group_id in group_ids {
                    self.happen(&group_id, &command, round);
                }
                round.forgotten.push(done);
            }
        }
    }

    /// Whether the group can be asked now.
    async fn admit(
        &mut self,
        group_id: &Arc<str>,
        command: &Command,
    ) -> Result<(), CoordinatorError> {
        if self.unread.contains(group_id) {
            self.read_again(group_id).await?;
        }
        match command {
            Command::Join(_) if self.members_size > MEMBERS_SIZE_MAX => Err(CoordinatorError::Full),
            Command::Commit(commit) if !self.is_current(commit) => {
                Err(CoordinatorError::PartitionGone)
            }
            _ => Ok(()),
        }
    }

    /// A topic may have been deleted since its commit was read: the offsets of a deleted topic were removed already.
    fn is_current(&self, commit: &OffsetCommit) -> bool {
        let topics = self.parts.catalog.topics();
        commit.partitions.iter().all(|partition| {
            let topic = topics.by_name(&partition.of.topic);
            let current = topic.and_then(|topic| topic.partition(partition.of.index));
            current == Some(partition.of.partition)
        })
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Something that nobody waits for.
    fn happen(&mut self, group_id: &Arc<str>, command: &Command, round: &mut Round) {
        let ticket = self.ticket();
        self.decide(ticket, group_id, command, round);
    }

    fn decide(
        &mut self,
        ticket: Ticket,
        group_id: &Arc<str>,
        command: &Command,
        round: &mut Round,
    ) {
        let now_ms = self.parts.clock.now_ms();
        let decision = self.groups.decide(now_ms, ticket, group_id, command);
        for write in decision.writes {
            round.size += write_size(&write);
            round.writes.insert(write.key().clone(), write);
            round.touched.insert(group_id.clone());
        }
        let resized = decision.changes.iter().any(|change| match change {
            Change::Group(_) | Change::Gone => true,
            Change::Session { .. } | Change::Offset { .. } => false,
        });
        self.groups.apply(now_ms, group_id, decision.changes);
        if resized {
            self.measure(group_id);
            self.set_timer(group_id);
        }
        round.replies.extend(decision.replies);
        decision
            .effects
            .iter()
            .for_each(|effect| tell(group_id, effect));
    }

    fn measure(&mut self, group_id: &Arc<str>) {
        let group = self.groups.get(group_id);
        let size = group.map_or(0, |group| group.classic().members_size());
        let before = match size {
            0 => self.sizes.remove(group_id),
            size => self.sizes.insert(group_id.clone(), size),
        };
        self.members_size = self.members_size - before.unwrap_or(0) + size;
    }

    /// Looks at the group when its first timer is due.
    fn set_timer(&mut self, group_id: &Arc<str>) {
        let group = self.groups.get(group_id);
        let next = group.and_then(|group| group.classic().next_deadline_ms());
        let before = match next {
            Some(at_ms) => self.timer_of.insert(group_id.clone(), at_ms),
            None => self.timer_of.remove(group_id),
        };
        if let Some(before) = before {
            self.timers.remove(&(before, group_id.clone()));
        }
        if let Some(at_ms) = next {
            self.timers.insert((at_ms, group_id.clone()));
        }
    }

    fn fire_timers(&mut self, round: &mut Round) {
        let now_ms = self.parts.clock.now_ms();
        while let Some((at_ms, group_id)) = self.timers.first().cloned() {
            if at_ms > now_ms || round.size > COMMIT_SIZE_MAX {
                return;
            }
            // Heartbeats since then have moved what the timer was set for.
            self.set_timer(&group_id);
            if self
                .timer_of
                .get(&group_id)
                .is_some_and(|at_ms| *at_ms <= now_ms)
            {
                self.happen(&group_id, &Command::Expire, round);
            }
        }
    }

    /// Looks through all groups now and then for offsets that are too old.
    async fn expire_offsets(&mut self) {
        let now_ms = self.parts.clock.now_ms();
        if now_ms < self.expire_offsets_at_ms {
            return;
        }
        self.expire_offsets_at_ms = now_ms.saturating_add(self.retention_check_ms);
        let group_ids: Vec<Arc<str>> = self.groups.iter().map(|(id, _)| id.clone()).collect();
        let mut round = Round::default();
        for group_id in group_ids {
            self.happen(&group_id, &Command::ExpireOffsets, &mut round);
            if round.size > COMMIT_SIZE_MAX {
                self.finish(std::mem::take(&mut round)).await;
            }
        }
        self.finish(round).await;
    }

    /// Commits, then answers.
    async fn finish(&mut self, round: Round) {
        let Round {
            writes,
            touched,
            replies,
            reads,
            forgotten,
            ..
        } = round;
        if !writes.is_empty()
            && let Err(error) = self.commit(&touched, writes).await
        {
            tracing::error!(groups = touched.len(), %error, "groups not written; reading them again");
            let answered = replies.into_iter().map(|(ticket, _)| ticket).collect();
            return self.lose(touched, answered).await;
        }
        for (ticket, reply) in replies {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                // Whoever asked may have gone away.
                let _ = waiting.answer.send(Ok(reply));
            }
        }
        reads.into_iter().for_each(|deliver| deliver());
        for done in forgotten {
            let _ = done.send(());
        }
    }

    async fn commit(
        &mut self,
        touched: &BTreeSet<Arc<str>>,
        writes: BTreeMap<Key, Write>,
    ) -> Result<(), StoreError> {
        let version = |group_id| {
            self.versions
                .get(group_id)
                .copied()
                .unwrap_or(Version::ABSENT)
        };
        let guards = touched
            .iter()
            .map(|group_id| (group_key(group_id), version(group_id)));
        let commit = Commit {
            guards: guards.collect(),
            writes: writes.values().cloned().collect(),
            body: Vec::new(),
        };
        let version = match self.parts.store.commit(commit).await? {
            Outcome::Done { version, .. } => version,
            Outcome::Conflict(_) => {
                return Err(StoreError::Unavailable {
                    reason: "another coordinator wrote the groups".to_owned(),
                });
            }
        };
        for group_id in touched {
            match writes.get(&group_key(group_id)) {
                Some(Write::Delete { .. }) => self.versions.remove(group_id),
                Some(_) => self.versions.insert(group_id.clone(), version),
                None => None,
            };
        }
        Ok(())
    }

    /// After a commit that failed nobody knows what these groups are: what waits at them is sent away, and they are read
    /// again.
    async fn lose(&mut self, touched: BTreeSet<Arc<str>>, answered: Vec<Ticket>) {
        let mut tickets = answered;
        let parked = self.waiting.iter();
        let parked = parked.filter(|(_, waiting)| touched.contains(&waiting.group_id));
        tickets.extend(parked.map(|(ticket, _)| *ticket));
        for ticket in tickets {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                let _ = waiting.answer.send(Err(CoordinatorError::Lost));
            }
        }
        self.unread.extend(touched.iter().cloned());
        for group_id in &touched {
            // One that cannot be read is tried again when it is asked.
            let _ = self.read_again(group_id).await;
        }
    }

    async fn read_again(&mut self, group_id: &Arc<str>) -> Result<(), CoordinatorError> {
        let now_ms = self.parts.clock.now_ms();
        let topics = self.parts.catalog.topics();
        let read = load::read_group(self.parts.store.as_ref(), &topics, group_id, now_ms).await;
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(group = &**group_id, %error, "the group cannot be read; trying again when it is asked");
                return Err(CoordinatorError::Lost);
            }
        };
        self.groups.apply(now_ms, group_id, vec![Change::Gone]);
        self.versions.insert(group_id.clone(), read.version);
        self.groups.apply(now_ms, group_id, read.changes);
        self.unread.remove(group_id);
        self.measure(group_id);
        self.set_timer(group_id);
        Ok(())
    }

    /// Reads all groups.
    pub(super) async fn load_all(&mut self) -> Result<(), CatalogError> {
        let now_ms = self.parts.clock.now_ms();
        let topics = self.parts.catalog.topics();
        let mut read = load::read_groups(self.parts.store.as_ref(), &topics, now_ms).await?;
        for (group_id, loaded) in read.drain() {
            self.versions.insert(group_id.clone(), loaded.version);
            self.groups.apply(now_ms, &group_id, loaded.changes);
        }
        let group_ids: Vec<Arc<str>> = self.groups.iter().map(|(id, _)| id.clone()).collect();
        let mut round = Round::default();
        for group_id in group_ids {
            self.measure(&group_id);
            self.set_timer(&group_id);
            self.happen(&group_id, &Command::Loaded, &mut round);
        }
        self.finish(round).await;
        Ok(())
    }
}

fn write_size(write: &Write) -> usize {
    let value = match write {
        Write::Put { value, .. } => value.len(),
        Write::Append { bytes, .. } => bytes.len(),
        Write::Delete { .. } => 0,
    };
    write.key().bytes.len() + value
}

fn tell(group_id: &Arc<str>, effect: &Effect) {
    let group = &**group_id;
    match effect {
        Effect::Rebalancing { reason } => tracing::info!(group, reason, "the group rebalances"),
        Effect::NewGeneration {
            generation,
            members,
        } => tracing::info!(group, generation, members, "the group has a new generation"),
        Effect::MemberGone { member_id, why } => {
            tracing::info!(group, member = &**member_id, why, "a member is gone");
        }
        Effect::OffsetsExpired { count } => tracing::info!(group, count, "offsets expired"),
        Effect::GroupGone => tracing::info!(group, "the group is gone"),
    }
}
