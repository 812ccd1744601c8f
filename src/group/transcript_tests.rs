//! Every state times every request, as transcripts that somebody who knows Kafka can read:
//! tests/testdata/group/*.txt. `UPDATE=1` writes what comes out today; read the difference.
//!
//! A line that begins with `>` is a command, indented lines are what comes of it, `#` is a remark. Clients are named by
//! a letter; who they are (member id, instance id, generation) is taken from the last answer and can be overridden:
//!
//! ```text
//! > set group.max.size=2            the broker's settings, before anything else
//! > a join [id=] [instance=] [protocols=range:t1+t2,other:t1] [type=] [session=] [rebalance=] [at-once] [follows]
//! > a sync [id=] [instance=] [generation=] [assign=a:p0,b:p1] [type=] [name=]
//! > a heartbeat [id=] [instance=] [generation=]
//! > a leave [id=] [instance=]
//! > a commit orders/0=5,orders/1=7 [id=] [instance=] [generation=] [metadata=] [units=4097] [retention=]
//! > fetch · describe · list [states=] [types=] · delete · delete-offsets orders/0 · expire-offsets · forget orders/0
//! > wait 10s                        time passes, timers fire
//! > restart                         all but the rows is lost
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::testing::{Words, duration_ms, happened, heard, seconds, settings, subscription};
use super::*;
use crate::base::PartitionNumber;
use crate::store::{Key, Space, Write};

const GROUP: &str = "g";
const START_MS: i64 = 1_700_000_000_000;

#[test]
fn transcripts_are_what_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/group");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder of transcripts")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(files.len() >= 9, "transcripts are missing");
    for file in files {
        let kept = std::fs::read_to_string(&file).expect("a transcript");
        let played = play(&kept);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, played).expect("written");
        } else {
            assert_eq!(played, kept, "{}: UPDATE=1 rewrites it", file.display());
        }
    }
}

/// The transcript with what its commands come to.
fn play(transcript: &str) -> String {
    let mut stage = Stage::new();
    let mut played = String::new();
    for line in transcript.lines().filter(|line| !line.starts_with("  ")) {
        played.push_str(line);
        played.push('\n');
        if let Some(command) = line.strip_prefix("> ") {
            stage.run(command);
            for said in stage.said.drain(..) {
                let _ = writeln!(played, "  {said}");
            }
        }
    }
    played
}

/// What a client knows of itself.
#[derive(Clone, Default)]
struct Client {
    member_id: String,
    instance_id: Option<String>,
    generation: i32,
}

struct Stage {
    settings: Settings,
    groups: Groups,
    rows: BTreeMap<Key, Bytes>,
    now_ms: i64,
    tickets: u64,
    /// Whose request a ticket is.
    waiting: HashMap<Ticket, String>,
    clients: HashMap<String, Client>,
    ids: HashMap<String, u32>,
    topics: Vec<String>,
    shown: String,
    /// Set while time passes: lines then say when.
    dated: bool,
    said: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        Self {
            settings: settings(),
            groups: Groups::new(settings()),
            rows: BTreeMap::new(),
            now_ms: START_MS,
            tickets: 0,
            waiting: HashMap::new(),
            clients: HashMap::new(),
            ids: HashMap::new(),
            topics: Vec::new(),
            shown: String::new(),
            dated: false,
            said: Vec::new(),
        }
    }

    fn say(&mut self, text: impl AsRef<str>) {
        let text = text.as_ref();
        let line = match self.dated {
            true => format!(
                "{:>7} {text}",
                format!("{:.1}s", seconds(self.now_ms - START_MS))
            ),
            false => text.to_owned(),
        };
        self.said.push(line);
    }

    fn run(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["set", ref pairs @ ..] => return pairs.iter().for_each(|pair| self.set(pair)),
            ["wait", time] => self.wait(duration_ms(time)),
            ["restart"] => self.restart(),
            ["fetch"] => self.fetch(),
            ["describe"] => self.describe(),
            ["list", ref rest @ ..] => self.list(&Words(rest.to_vec())),
            ["delete"] => self.ask("", &Command::Delete),
            ["expire-offsets"] => self.ask("", &Command::ExpireOffsets),
            ["delete-offsets", partitions] => {
                let partitions = partitions.split(',').map(|name| self.partition(name));
                let partitions = partitions.collect();
                self.ask("", &Command::DeleteOffsets(partitions));
            }
            ["forget", partition] => {
                let number = self.partition(partition).partition;
                self.ask("", &Command::ForgetPartitions(vec![number]));
            }
            [client, verb, ref rest @ ..] => self.act(client, verb, &Words(rest.to_vec())),
            _ => panic!("no command: {line}"),
        }
        self.show();
    }

    fn set(&mut self, pair: &str) {
        let (key, value) = pair.split_once('=').expect("key=value");
        match key {
            "group.max.size" => self.settings.group_size_max = value.parse().unwrap(),
            "group.initial.rebalance.delay.ms" => {
                self.settings.initial_rebalance_delay_ms = value.parse().unwrap();
            }
            other => panic!("no setting {other}"),
        }
        if !self.rows.is_empty() {
            return;
        }
        self.groups = Groups::new(self.settings);
    }

    fn act(&mut self, client: &str, verb: &str, words: &Words<'_>) {
        let mut who = self.clients.get(client).cloned().unwrap_or_default();
        if let Some(id) = words.get("id") {
            let other = self.clients.get(id.trim_start_matches('@'));
            who.member_id = match other {
                Some(other) if id.starts_with('@') => other.member_id.clone(),
                _ => id.to_owned(),
            };
        }
        if let Some(instance) = words.get("instance") {
            who.instance_id = Some(instance.to_owned()).filter(|id| id != "-");
        }
        if let Some(generation) = words.get("generation") {
            who.generation = generation.parse().expect("a number");
        }
        let identity = Identity {
            member_id: Arc::from(&*who.member_id),
            instance_id: who.instance_id.as_deref().map(Arc::from),
            generation: who.generation,
        };
        let command = match verb {
            "join" => Command::Join(Box::new(self.join(client, &who, words))),
            "sync" => Command::Sync(Box::new(self.sync(identity, words))),
            "heartbeat" => Command::Heartbeat(identity),
            "leave" => Command::Leave(vec![Leaving {
                member_id: identity.member_id,
                instance_id: identity.instance_id,
                reason: words.get("reason").map(Arc::from),
            }]),
            "commit" => Command::Commit(Box::new(self.commit(identity, words))),
            other => panic!("no verb {other}"),
        };
        if verb == "join" {
            let client = self.clients.entry(client.to_owned()).or_default();
            client.instance_id = who.instance_id;
        }
        self.ask(client, &command);
    }

    fn join(&mut self, client: &str, who: &Client, words: &Words<'_>) -> Join {
        let count = self.ids.entry(client.to_owned()).or_default();
        *count += u32::from(who.member_id.is_empty());
        let protocols = words.get("protocols").unwrap_or("range:orders");
        let protocols = protocols.split(',').filter(|protocol| !protocol.is_empty());
        Join {
            member_id: Arc::from(&*who.member_id),
            instance_id: who.instance_id.as_deref().map(Arc::from),
            new_member_id: Arc::from(format!("{client}-{count}")),
            client_id: Arc::from(client),
            client_host: Arc::from("/127.0.0.1"),
            session_timeout_ms: words.ms("session", 10_000),
            rebalance_timeout_ms: words.ms("rebalance", 60_000),
            protocol_type: Arc::from(words.get("type").unwrap_or("consumer")),
            protocols: protocols
                .map(|protocol| {
                    let (name, topics) = protocol.split_once(':').expect("name:topics");
                    Protocol {
                        name: Arc::from(name),
                        metadata: subscription(topics),
                    }
                })
                .collect(),
            reason: words.get("reason").map(Arc::from),
            new_member: match words.has("at-once") {
                true => NewMember::AtOnce,
                false => NewMember::IdFirst,
            },
            static_leader: match words.has("follows") {
                true => StaticLeader::Follows,
                false => StaticLeader::SkipsAssignment,
            },
        }
    }

    fn sync(&self, who: Identity, words: &Words<'_>) -> Sync {
        let assignments = words.get("assign").unwrap_or_default().split(',');
        let assignments = assignments.filter_map(|pair| pair.split_once(':'));
        let id = |client: &str| {
            let client = self.clients.get(client);
            client.map_or_else(
                || Arc::from("nobody"),
                |client| Arc::from(&*client.member_id),
            )
        };
        Sync {
            who,
            protocol_type: words.get("type").map(Arc::from),
            protocol_name: words.get("name").map(Arc::from),
            assignments: assignments
                .map(|(client, text)| (id(client), Bytes::copy_from_slice(text.as_bytes())))
                .collect(),
        }
    }

    fn commit(&mut self, who: Identity, words: &Words<'_>) -> OffsetCommit {
        let metadata = match words.get("units") {
            // Each of these is two UTF-16 units and four bytes.
            Some(units) => "\u{1f980}".repeat(units.parse::<usize>().unwrap() / 2),
            None => words.get("metadata").unwrap_or_default().to_owned(),
        };
        let pairs = words.0[0]
            .split(',')
            .map(|pair| pair.split_once('=').expect("t/p=offset"));
        OffsetCommit {
            who,
            retention_ms: words.get("retention").map(duration_ms),
            partitions: pairs
                .map(|(name, offset)| PartitionCommit {
                    of: self.partition(name),
                    offset: offset.parse().expect("an offset"),
                    leader_epoch: -1,
                    metadata: Arc::from(&*metadata),
                })
                .collect(),
        }
    }

    fn partition(&mut self, name: &str) -> TopicPartition {
        let (topic, index) = name.split_once('/').expect("topic/partition");
        let known = self.topics.iter().position(|known| known == topic);
        let number = known.unwrap_or_else(|| {
            self.topics.push(topic.to_owned());
            self.topics.len() - 1
        });
        let index: i32 = index.parse().expect("a partition");
        let number = u32::try_from(number).unwrap() * 100 + u32::try_from(index).unwrap();
        TopicPartition {
            topic: Arc::from(topic),
            index,
            partition: PartitionNumber(number),
        }
    }

    fn ask(&mut self, client: &str, command: &Command) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.waiting.insert(ticket, client.to_owned());
        let decision = self.groups.decide(self.now_ms, ticket, GROUP, command);
        let parks = decision
            .replies
            .iter()
            .all(|(answered, _)| *answered != ticket);
        for effect in &decision.effects {
            self.say(happened(effect));
        }
        for write in decision.writes {
            self.write(write);
        }
        self.groups
            .apply(self.now_ms, &Arc::from(GROUP), decision.changes);
        for (ticket, reply) in decision.replies {
            let client = self.waiting.remove(&ticket).expect("answered once");
            self.hear(&client, reply);
        }
        if parks {
            self.say(format!("{client} waits"));
        }
    }

    fn write(&mut self, write: Write) {
        let what = match write.key().space {
            Space::Group => "the group".to_owned(),
            _ => {
                let (_, PartitionNumber(number)) = offset_of_key(write.key()).expect("an offset");
                let topic = &self.topics[usize::try_from(number / 100).unwrap()];
                format!("the offset of {topic}/{}", number % 100)
            }
        };
        match write {
            Write::Put { key, value, .. } => {
                self.say(format!("writes {what}"));
                self.rows.insert(key, value);
            }
            Write::Delete { key } => {
                self.say(format!("removes {what}"));
                self.rows.remove(&key);
            }
            Write::Append { .. } => panic!("groups append nothing"),
        }
    }

    fn hear(&mut self, client: &str, reply: Reply) {
        let known = self.clients.entry(client.to_owned()).or_default();
        match &reply {
            Reply::Join(Ok(joined)) => {
                known.member_id = joined.member_id.to_string();
                known.generation = joined.generation;
            }
            Reply::Join(Err(refused)) if refused.error == GroupError::MemberIdRequired => {
                known.member_id = refused.member_id.to_string();
            }
            _ => {}
        }
        let text = heard(reply);
        if !text.is_empty() {
            self.say(format!("{client} {text}").trim_start());
        }
    }

    fn wait(&mut self, ms: i64) {
        let until_ms = self.now_ms + ms;
        self.dated = true;
        let mut rounds = 0;
        loop {
            let group = self.groups.get(GROUP);
            let next_ms = group.and_then(|group| group.classic().next_deadline_ms());
            let Some(deadline_ms) = next_ms.filter(|deadline_ms| *deadline_ms <= until_ms) else {
                break;
            };
            rounds += 1;
            assert!(rounds < 1_000, "a timer fires for ever");
            self.now_ms = self.now_ms.max(deadline_ms);
            self.ask("", &Command::Expire);
            self.show();
        }
        self.now_ms = until_ms;
        self.dated = false;
    }

    fn restart(&mut self) {
        self.groups = Groups::new(self.settings);
        self.waiting.clear();
        for (key, value) in &self.rows {
            let (group_id, change) = match key.space {
                Space::Group => {
                    let group = decode_group(value, self.now_ms).expect("a group's row");
                    let id = group_of_key(key).expect("a group's key");
                    (id, Change::Group(Box::new(group)))
                }
                _ => {
                    let (id, partition) = offset_of_key(key).expect("an offset's key");
                    let topic = &self.topics[usize::try_from(partition.0 / 100).unwrap()];
                    let index = i32::try_from(partition.0 % 100).unwrap();
                    let offset = decode_offset(value, Arc::from(&**topic), index);
                    let offset = Some(offset.expect("an offset's row"));
                    (id, Change::Offset { partition, offset })
                }
            };
            self.groups.apply(self.now_ms, &group_id, vec![change]);
        }
        self.ask("", &Command::Loaded);
    }

    fn fetch(&mut self) {
        let offsets = self.groups.get(GROUP).map(|group| group.offsets().clone());
        for offset in offsets.unwrap_or_default().values() {
            self.say(format!(
                "{}/{} = {} `{}`",
                offset.topic, offset.index, offset.offset, offset.metadata
            ));
        }
    }

    fn describe(&mut self) {
        let Some(group) = self.groups.describe(GROUP) else {
            return self.say("Dead");
        };
        let state = group.state.name();
        self.say(format!(
            "{state} `{}` `{}`",
            group.protocol_type, group.protocol
        ));
        for member in group.members {
            self.say(format!(
                "{} instance {} client {} {}: {} bytes of metadata, assigned `{}`",
                member.member_id,
                member.instance_id.as_deref().unwrap_or("-"),
                member.client_id,
                member.client_host,
                member.metadata.len(),
                String::from_utf8_lossy(&member.assignment)
            ));
        }
    }

    fn list(&mut self, words: &Words<'_>) {
        let filter = |name| -> Vec<String> {
            let values = words.get(name).unwrap_or_default().split(',');
            values
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let listed = self.groups.list(&filter("states"), &filter("types"));
        for group in &listed {
            let (id, state) = (&group.group_id, group.state.name());
            self.say(format!(
                "{id} `{}` {state} {}",
                group.protocol_type, group.group_type
            ));
        }
        if listed.is_empty() {
            self.say("nothing");
        }
    }

    /// The group in one line, when it is not what it was.
    fn show(&mut self) {
        let line = match self.groups.get(GROUP) {
            None => "= Dead".to_owned(),
            Some(group) => {
                let classic = group.classic();
                let names = |ids: BTreeSet<&MemberId>| {
                    let ids: Vec<&str> = ids.into_iter().map(|id| &**id).collect();
                    ids.join(" ")
                };
                let mut line = format!(
                    "= {}, generation {}",
                    classic.state.name(),
                    classic.generation
                );
                for (what, ids) in [
                    ("members", names(classic.members.keys().collect())),
                    ("pending", names(classic.pending.keys().collect())),
                ] {
                    if !ids.is_empty() {
                        let _ = write!(line, ", {what} {ids}");
                    }
                }
                line
            }
        };
        if line != self.shown {
            self.say(&line);
            self.shown = line;
        }
    }
}
