//! Frames: a four-byte length, a request header, a body; and the same for answers.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;

use super::cursor::{Cursor, Malformed};

/// Bytes of the length in front of every frame.
pub const LENGTH_SIZE: usize = 4;

/// Fewest bytes of a request: API key, version, correlation id.
pub const REQUEST_SIZE_MIN: usize = 8;

/// What every request begins with, whatever its header version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestStart {
    pub api_key: i16,
    pub version: i16,
    pub correlation_id: i32,
}

impl RequestStart {
    /// Reads the first eight bytes of a frame (without its length).
    pub fn read(frame: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(frame);
        Ok(Self {
            api_key: cursor.i16("request_api_key")?,
            version: cursor.i16("request_api_version")?,
            correlation_id: cursor.i32("correlation_id")?,
        })
    }
}

/// Splits the rest of the header off a frame (without its length): the client id stays a classic string even in flexible versions,
/// which add tagged fields behind it. What is left in `frame` is the body.
pub fn split_client_id(frame: &mut Bytes, flexible: bool) -> Result<Option<StrBytes>, Malformed> {
    const FIELD: &str = "client_id";
    let mut cursor = Cursor::new(frame);
    cursor.skip(REQUEST_SIZE_MIN, "request header")?;
    let length = cursor.length_i16(FIELD)?;
    let client_id_at = frame.len() - cursor.remaining();
    cursor.skip(length.unwrap_or(0), FIELD)?;
    let client_id_end = frame.len() - cursor.remaining();
    if flexible {
        for _ in 0..cursor.varint("header tags")? {
            cursor.varint("header tags")?;
            let size = cursor.varint("header tags")?;
            cursor.skip(usize::try_from(size).unwrap_or(usize::MAX), "header tags")?;
        }
    }
    let header_size = frame.len() - cursor.remaining();
    let client_id = length
        .map(|_| StrBytes::from_utf8(frame.slice(client_id_at..client_id_end)))
        .transpose()
        .map_err(|_| Malformed::Utf8 { field: FIELD })?;
    frame.advance(header_size);
    Ok(client_id)
}

/// How much [`answer_start`] allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// For the start alone: the body stays in buffers of its own.
    Start,
    /// For the body too.
    Whole,
}

/// The start of an answer whose body has `body_size` bytes: length, correlation id and, where the answer's header
/// is flexible, no tagged fields. `None` if the frame is too long for its length field.
pub fn answer_start(
    correlation_id: i32,
    flexible: bool,
    body_size: usize,
    room: Room,
) -> Option<BytesMut> {
    let header_size = if flexible { 5 } else { 4 };
    let length = i32::try_from(body_size.checked_add(header_size)?).ok()?;
    let body_room = match room {
        Room::Start => 0,
        Room::Whole => body_size,
    };
    let mut frame = BytesMut::with_capacity(LENGTH_SIZE + header_size + body_room);
    frame.put_i32(length);
    frame.put_i32(correlation_id);
    if flexible {
        frame.put_u8(0);
    }
    Some(frame)
}
