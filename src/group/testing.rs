//! What transcripts and simulation share, and how transcripts are read and written.

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};

use super::*;

/// The defaults.
pub(super) fn settings() -> Settings {
    Settings {
        session_timeout_ms_min: 6_000,
        session_timeout_ms_max: 1_800_000,
        group_size_max: usize::MAX,
        initial_rebalance_delay_ms: 0,
        offset_metadata_units_max: 4_096,
        offsets_retention_ms: 7 * 24 * 3_600_000,
    }
}

/// A consumer's subscription, version 0.
pub(super) fn subscription(topics: &str) -> Bytes {
    let mut metadata = BytesMut::new();
    metadata.put_i16(0);
    let topics: Vec<&str> = topics
        .split('+')
        .filter(|topic| !topic.is_empty())
        .collect();
    metadata.put_i32(i32::try_from(topics.len()).unwrap());
    for topic in topics {
        metadata.put_i16(i16::try_from(topic.len()).unwrap());
        metadata.put_slice(topic.as_bytes());
    }
    metadata.put_i32(-1);
    metadata.freeze()
}

/// The words of a command after its name.
pub(super) struct Words<'a>(pub(super) Vec<&'a str>);

impl<'a> Words<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let values = self.0.iter().filter_map(|word| word.split_once('='));
        values
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .next()
    }

    pub(super) fn has(&self, flag: &str) -> bool {
        self.0.contains(&flag)
    }

    pub(super) fn ms(&self, name: &str, default: i32) -> i32 {
        self.get(name)
            .map_or(default, |text| i32::try_from(duration_ms(text)).unwrap())
    }
}

pub(super) fn duration_ms(text: &str) -> i64 {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "d" => 86_400_000,
        other => panic!("unit {other}"),
    };
    digits.parse::<i64>().expect("a number") * unit
}

/// An effect in words.
pub(super) fn happened(effect: &Effect) -> String {
    match effect {
        Effect::Rebalancing { reason } => format!("* rebalancing: {reason}"),
        Effect::NewGeneration {
            generation,
            members,
        } => format!("* generation {generation} of {members} members"),
        Effect::MemberGone { member_id, why } => format!("* {member_id} gone: {why}"),
        Effect::OffsetsExpired { count } => format!("* {count} offsets expired"),
        Effect::GroupGone => "* the group is gone".to_owned(),
    }
}

/// An answer in words; none for what nobody waits for.
pub(super) fn heard(reply: Reply) -> String {
    let each = |results: Vec<Result<(), GroupError>>| {
        let texts = results.iter().map(|result| outcome(*result));
        texts.collect::<Vec<_>>().join(", ")
    };
    match reply {
        Reply::Join(Ok(joined)) => told(&joined),
        Reply::Join(Err(refused)) => {
            format!(
                "not joined: {:?}, id `{}`",
                refused.error, refused.member_id
            )
        }
        Reply::Sync(Ok(synced)) => format!(
            "synced: `{}` by {}",
            String::from_utf8_lossy(&synced.assignment),
            synced.protocol_name.as_deref().unwrap_or("nothing")
        ),
        Reply::Sync(Err(error)) => format!("not synced: {error:?}"),
        Reply::Heartbeat(result) => format!("heartbeat: {}", outcome(result)),
        Reply::Leave(Ok(results)) => format!("leave: {}", each(results)),
        Reply::Leave(Err(error)) => format!("leave: {error:?}"),
        Reply::Commit(Ok(results)) => format!("commit: {}", each(results)),
        Reply::DeleteOffsets(Ok(results)) => format!("offsets deleted: {}", each(results)),
        Reply::Commit(Err(error)) => format!("commit: {error:?}"),
        Reply::DeleteOffsets(Err(error)) => format!("offsets deleted: {error:?}"),
        Reply::Delete(result) => format!("group deleted: {}", outcome(result)),
        Reply::Done => String::new(),
    }
}

fn outcome(result: Result<(), GroupError>) -> String {
    result.map_or_else(|error| format!("{error:?}"), |()| "ok".to_owned())
}

fn told(joined: &Joined) -> String {
    let mut text = format!(
        "joined generation {} as {}, leader {}, {}",
        joined.generation,
        joined.member_id,
        joined.leader.as_deref().unwrap_or("-"),
        joined.protocol_name.as_deref().unwrap_or("-")
    );
    if joined.skip_assignment {
        text.push_str(", skips the assignment");
    }
    if !joined.members.is_empty() {
        let ids: Vec<&str> = joined
            .members
            .iter()
            .map(|member| &*member.member_id)
            .collect();
        let _ = write!(text, ", told of {}", ids.join(" "));
    }
    text
}

pub(super) fn seconds(ms: i64) -> f64 {
    i32::try_from(ms / 100).map_or(f64::INFINITY, |tenths| f64::from(tenths) / 10.0)
}
