//! The rows of groups: keys and codecs. Fixed widths, big-endian; a value begins with the number of its layout,
//! which is part of the on-disk format. docs/storage.md draws them.
//!
//! | space | key | value after the layout byte |
//! | --- | --- | --- |
//! | Group | 1, group id | type (1: classic), generation (4), time of the state (8), protocol type, protocol, leader, members: count (4), then each |
//! | Offset | length (2) and bytes of the group id, partition (4) | offset (8), leader epoch (4), commit time (8), expiry time (8), metadata |
//!
//! A member: id, instance id, client id, client host, session timeout (4), rebalance timeout (4), protocols: count (4),
//! then name and metadata each; assignment. Texts and bytes have their length (4) before them, -1 where there is none.
//! Only what survives a restart is here: who waits for what, and until when, is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::classic::{Classic, Member, State};
use super::command::Protocol;
use super::offsets::CommittedOffset;
use crate::base::PartitionNumber;
use crate::store::{Key, KeyRange, Space};

/// Bytes that a group id may have at most: it is part of row keys, which have at most [`Key::SIZE_MAX`].
pub const GROUP_ID_SIZE_MAX: usize = 1000;

const _: () = assert!(1 + 2 + GROUP_ID_SIZE_MAX + 4 <= Key::SIZE_MAX);

/// The layout that this version of the broker writes, in every row here.
const LAYOUT: u8 = 1;

const KIND_GROUP: u8 = 1;

const TYPE_CLASSIC: u8 = 1;

/// A row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("the {0} row has layout {1}, which this version does not know; start a newer broker")]
    Layout(&'static str, u8),
    #[error("the {0} row is damaged: {1}; restore the data folder from a copy")]
    Damaged(&'static str, &'static str),
}

/// Key of a group's row.
pub fn group_key(group_id: &str) -> Key {
    let mut bytes = BytesMut::with_capacity(1 + group_id.len());
    bytes.put_u8(KIND_GROUP);
    bytes.put_slice(group_id.as_bytes());
    Key::new(Space::Group, bytes)
}

/// The range of all groups' rows.
pub fn group_rows() -> KeyRange {
    KeyRange::prefix(Space::Group, vec![KIND_GROUP])
}

/// The group that a key of [`group_rows`] names.
pub fn group_of_key(key: &Key) -> Result<Arc<str>, RowError> {
    const WHAT: &str = "group";
    match key.bytes.split_first() {
        Some((&KIND_GROUP, id)) => utf8(WHAT, id),
        _ => Err(RowError::Damaged(WHAT, "its key is not a group's")),
    }
}

/// Key of the row of a committed offset.
pub fn offset_key(group_id: &str, partition: PartitionNumber) -> Key {
    let mut bytes = offset_prefix(group_id);
    bytes.put_u32(partition.0);
    Key::new(Space::Offset, bytes)
}

/// The range of a group's committed offsets.
pub fn offset_rows(group_id: &str) -> KeyRange {
    KeyRange::prefix(Space::Offset, offset_prefix(group_id))
}

/// The group and the partition that a key in the Offset space names.
pub fn offset_of_key(key: &Key) -> Result<(Arc<str>, PartitionNumber), RowError> {
    const WHAT: &str = "offset";
    let damaged = RowError::Damaged(WHAT, "its key is not an offset's");
    let mut bytes = &*key.bytes;
    let length = bytes.try_get_u16().map_err(|_| damaged.clone())?;
    let (group_id, mut rest) = bytes
        .split_at_checked(usize::from(length))
        .ok_or(damaged.clone())?;
    match rest.try_get_u32() {
        Ok(number) if rest.is_empty() => Ok((utf8(WHAT, group_id)?, PartitionNumber(number))),
        _ => Err(damaged),
    }
}

fn offset_prefix(group_id: &str) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(2 + group_id.len() + 4);
    // Checked when the request came in: at most GROUP_ID_SIZE_MAX.
    bytes.put_u16(u16::try_from(group_id.len()).unwrap_or(u16::MAX));
    bytes.put_slice(group_id.as_bytes());
    bytes
}

/// The value of a group's row.
pub(super) fn encode_group(group: &Classic) -> Bytes {
    let mut value = BytesMut::new();
    value.put_u8(LAYOUT);
    value.put_u8(TYPE_CLASSIC);
    value.put_i32(group.generation);
    value.put_i64(group.state_since_ms);
    put_text(&mut value, group.protocol_type.as_deref());
    put_text(&mut value, group.protocol_name.as_deref());
    put_text(&mut value, group.leader.as_deref());
    put_length(&mut value, group.members.len());
    for member in group.members.values() {
        put_text(&mut value, Some(&member.id));
        put_text(&mut value, member.instance_id.as_deref());
        put_text(&mut value, Some(&member.client_id));
        put_text(&mut value, Some(&member.client_host));
        value.put_i32(member.session_timeout_ms);
        value.put_i32(member.rebalance_timeout_ms);
        put_length(&mut value, member.protocols.len());
        for protocol in member.protocols.iter() {
            put_text(&mut value, Some(&protocol.name));
            put_bytes(&mut value, &protocol.metadata);
        }
        put_bytes(&mut value, &member.assignment);
    }
    value.freeze()
}

/// The inverse of [`encode_group`]: the group as it is found, stable or empty. The sessions of its members begin now.
pub fn decode_group(value: &Bytes, now_ms: i64) -> Result<Classic, RowError> {
    let mut reader = Reader::new("group", value)?;
    if reader.u8()? != TYPE_CLASSIC {
        return reader.damaged("its type is not known");
    }
    let mut group = Classic::new(now_ms);
    group.generation = reader.i32()?;
    group.state_since_ms = reader.i64()?;
    group.protocol_type = reader.text()?;
    group.protocol_name = reader.text()?;
    group.leader = reader.text()?;
    group.members = (0..reader.count()?)
        .map(|_| {
            let member = reader.member(now_ms)?;
            Ok((member.id.clone(), Arc::new(member)))
        })
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    if !group.members.is_empty() {
        group.state = State::Stable;
    }
    group.subscribed_topics = group.read_subscriptions();
    reader.finish(group)
}

/// The value of a committed offset's row; which partition it is of stands in the key.
pub fn encode_offset(offset: &CommittedOffset) -> Bytes {
    let mut value = BytesMut::with_capacity(33 + offset.metadata.len());
    value.put_u8(LAYOUT);
    value.put_i64(offset.offset);
    value.put_i32(offset.leader_epoch);
    value.put_i64(offset.commit_time_ms);
    value.put_i64(offset.expire_time_ms.unwrap_or(-1));
    put_text(&mut value, Some(&offset.metadata));
    value.freeze()
}

/// The inverse of [`encode_offset`]; `topic` and `index` are what the cluster's topics say of the key's partition.
pub fn decode_offset(
    value: &Bytes,
    topic: Arc<str>,
    index: i32,
) -> Result<CommittedOffset, RowError> {
    let mut reader = Reader::new("offset", value)?;
    let offset = CommittedOffset {
        topic,
        index,
        offset: reader.i64()?,
        leader_epoch: reader.i32()?,
        commit_time_ms: reader.i64()?,
        expire_time_ms: Some(reader.i64()?).filter(|time| *time >= 0),
        metadata: reader.required_text()?,
    };
    reader.finish(offset)
}

fn utf8(what: &'static str, bytes: &[u8]) -> Result<Arc<str>, RowError> {
    let text = std::str::from_utf8(bytes);
    text.map(Arc::from)
        .map_err(|_| RowError::Damaged(what, "a text in it is not UTF-8"))
}

fn put_length(value: &mut BytesMut, length: usize) {
    // Every length here came in a request, which is far below 2 GiB.
    value.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
}

fn put_bytes(value: &mut BytesMut, bytes: &[u8]) {
    put_length(value, bytes.len());
    value.put_slice(bytes);
}

fn put_text(value: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_bytes(value, text.as_bytes()),
        None => value.put_i32(-1),
    }
}

/// Reads a value; each read is checked, none reserves memory that the value does not cover.
struct Reader {
    what: &'static str,
    rest: Bytes,
}

impl Reader {
    fn new(what: &'static str, value: &Bytes) -> Result<Self, RowError> {
        match value.first() {
            Some(&LAYOUT) => Ok(Self {
                what,
                rest: value.slice(1..),
            }),
            Some(&layout) => Err(RowError::Layout(what, layout)),
            None => Err(RowError::Damaged(what, "it is empty")),
        }
    }

    fn damaged<T>(&self, how: &'static str) -> Result<T, RowError> {
        Err(RowError::Damaged(self.what, how))
    }

    fn short(&self) -> RowError {
        RowError::Damaged(self.what, "it is cut short")
    }

    fn u8(&mut self) -> Result<u8, RowError> {
        self.rest.try_get_u8().map_err(|_| self.short())
    }

    fn i32(&mut self) -> Result<i32, RowError> {
        self.rest.try_get_i32().map_err(|_| self.short())
    }

    fn i64(&mut self) -> Result<i64, RowError> {
        self.rest.try_get_i64().map_err(|_| self.short())
    }

    /// How many elements follow; each has at least four bytes.
    fn count(&mut self) -> Result<usize, RowError> {
        let count = usize::try_from(self.i32()?).unwrap_or(usize::MAX);
        match count <= self.rest.len() / 4 {
            true => Ok(count),
            false => self.damaged("a count in it is too large"),
        }
    }

    fn bytes(&mut self) -> Result<Option<Bytes>, RowError> {
        let length = match self.i32()? {
            -1 => return Ok(None),
            length => usize::try_from(length).unwrap_or(usize::MAX),
        };
        match length <= self.rest.len() {
            true => Ok(Some(self.rest.split_to(length))),
            false => Err(self.short()),
        }
    }

    fn text(&mut self) -> Result<Option<Arc<str>>, RowError> {
        let bytes = self.bytes()?;
        bytes.map(|bytes| utf8(self.what, &bytes)).transpose()
    }

    fn required_text(&mut self) -> Result<Arc<str>, RowError> {
        match self.text()? {
            Some(text) => Ok(text),
            None => self.damaged("a text in it is missing"),
        }
    }

    /// Copied: a slice would keep the whole row, and the journal buffer behind it, in memory.
    fn blob(&mut self) -> Result<Bytes, RowError> {
        let bytes = self.bytes()?.unwrap_or_default();
        Ok(Bytes::copy_from_slice(&bytes))
    }

    fn member(&mut self, now_ms: i64) -> Result<Member, RowError> {
        let mut member = Member {
            id: self.required_text()?,
            instance_id: self.text()?,
            client_id: self.required_text()?,
            client_host: self.required_text()?,
            session_timeout_ms: self.i32()?,
            rebalance_timeout_ms: self.i32()?,
            protocols: Arc::from([]),
            assignment: Bytes::new(),
            is_new: false,
            joining: None,
            syncing: None,
            session_deadline_ms: None,
        };
        member.protocols = (0..self.count()?)
            .map(|_| {
                Ok(Protocol {
                    name: self.required_text()?,
                    metadata: self.blob()?,
                })
            })
            .collect::<Result<_, RowError>>()?;
        member.assignment = self.blob()?;
        member.renew(now_ms);
        Ok(member)
    }

    fn finish<T>(self, row: T) -> Result<T, RowError> {
        match self.rest.is_empty() {
            true => Ok(row),
            false => self.damaged("there are bytes after its end"),
        }
    }
}
