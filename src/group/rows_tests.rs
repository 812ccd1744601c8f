//! The bytes on disk, as docs/storage.md draws them, and what becomes of bytes that nobody wrote.

use std::sync::Arc;

use bytes::Bytes;

use super::classic::{Classic, Member, State};
use super::rows::encode_group;
use super::testing::subscription;
use super::*;
use crate::base::PartitionNumber;
use crate::store::{Key, Space};

const NOW_MS: i64 = 5_000;

fn group() -> Classic {
    let mut group = Classic::new(0x0102);
    group.state = State::Stable;
    group.generation = 3;
    group.protocol_type = Some(Arc::from("consumer"));
    group.protocol_name = Some(Arc::from("range"));
    group.leader = Some(Arc::from("m"));
    let member = Member {
        id: Arc::from("m"),
        instance_id: None,
        client_id: Arc::from("c"),
        client_host: Arc::from("/h"),
        session_timeout_ms: 0x11,
        rebalance_timeout_ms: 0x22,
        protocols: Arc::from([Protocol {
            name: Arc::from("range"),
            metadata: subscription("t"),
        }]),
        assignment: Bytes::from_static(b"A"),
        is_new: true,
        joining: Some(Ticket(1)),
        syncing: None,
        session_deadline_ms: None,
    };
    group.members.insert(Arc::from("m"), Arc::new(member));
    group
}

fn offset() -> CommittedOffset {
    CommittedOffset {
        topic: Arc::from("t"),
        index: 4,
        offset: 0x0a0b,
        leader_epoch: -1,
        commit_time_ms: 0x0c,
        expire_time_ms: None,
        metadata: Arc::from("é"),
    }
}

#[test]
fn a_group_lies_on_disk_as_drawn() {
    let mut expected = vec![1, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1, 2];
    let texts: &[&[u8]] = &[b"consumer", b"range", b"m"];
    let put = |expected: &mut Vec<u8>, text: &[u8]| {
        expected.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        expected.extend(text);
    };
    texts.iter().for_each(|text| put(&mut expected, text));
    expected.extend([0, 0, 0, 1]);
    put(&mut expected, b"m");
    expected.extend([0xff; 4]);
    put(&mut expected, b"c");
    put(&mut expected, b"/h");
    expected.extend([0, 0, 0, 0x11, 0, 0, 0, 0x22, 0, 0, 0, 1]);
    put(&mut expected, b"range");
    put(&mut expected, b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff");
    put(&mut expected, b"A");
    assert_eq!(encode_group(&group()), expected);
    assert_eq!(&*group_key("g").encode(), b"\x06\x01g");
    assert_eq!(group_of_key(&group_key("g")).as_deref(), Ok("g"));
}

#[test]
fn a_group_is_found_stable_and_its_sessions_begin_anew() {
    let read = decode_group(&encode_group(&group()), NOW_MS).expect("a group");
    assert_eq!(encode_group(&read), encode_group(&group()));
    assert_eq!(read.state, State::Stable);
    assert_eq!(read.state_since_ms, 0x0102);
    assert_eq!(read.next_deadline_ms(), Some(NOW_MS + 0x11));
    let member = &read.members["m"];
    assert_eq!((member.is_new, member.joining), (false, None));
    assert!(read.is_subscribed("t") && !read.is_subscribed("u"));

    let empty = decode_group(&encode_group(&Classic::new(7)), NOW_MS).expect("a group");
    assert_eq!(
        (empty.state, empty.next_deadline_ms()),
        (State::Empty, None)
    );
}

#[test]
fn an_offset_lies_on_disk_as_drawn() {
    let expected = b"\x01\0\0\0\0\0\0\x0a\x0b\xff\xff\xff\xff\0\0\0\0\0\0\0\x0c\
        \xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x02\xc3\xa9";
    assert_eq!(&*encode_offset(&offset()), expected);
    let key = offset_key("gr", PartitionNumber(9));
    assert_eq!(&*key.encode(), b"\x07\0\x02gr\0\0\0\x09");
    assert_eq!(
        offset_of_key(&key),
        Ok((Arc::from("gr"), PartitionNumber(9)))
    );
    assert!(offset_rows("gr").contains(&key));
    assert!(!offset_rows("g").contains(&key));
    let with_expiry = CommittedOffset {
        expire_time_ms: Some(77),
        ..offset()
    };
    for offset in [offset(), with_expiry] {
        let read = decode_offset(&encode_offset(&offset), Arc::from("t"), 4);
        assert_eq!(read, Ok(offset));
    }
}

#[test]
fn what_nobody_wrote_is_refused() {
    let decode = |value: &Bytes| decode_group(value, NOW_MS).map(|_| ());
    let whole = encode_group(&group());
    for size in 0..whole.len() {
        assert!(decode(&whole.slice(..size)).is_err(), "{size}");
    }
    let longer = Bytes::from([&whole[..], b"x"].concat());
    let newer = Bytes::from([b"\x02", &whole[1..]].concat());
    assert!(matches!(
        decode(&longer),
        Err(RowError::Damaged("group", _))
    ));
    assert_eq!(decode(&newer), Err(RowError::Layout("group", 2)));

    let decode = |value: Bytes| decode_offset(&value, Arc::from("t"), 4).map(|_| ());
    let whole = encode_offset(&offset());
    for size in 0..whole.len() {
        assert!(decode(whole.slice(..size)).is_err(), "{size}");
    }
    for bytes in [
        &b""[..],
        b"\0",
        b"\0\x05g\0\0\0\x01",
        b"\0\x01g\0\0\0",
        b"\0\x01\xff\0\0\0\x01",
    ] {
        let key = Key::new(Space::Offset, bytes.to_vec());
        assert!(offset_of_key(&key).is_err(), "{bytes:?}");
    }
    let other = Key::new(Space::Group, vec![2, b'g']);
    assert!(group_of_key(&other).is_err());
}
