//! Requests and answers as bytes: one connection, frames, and the record batches that are sent.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::protocol::{
    Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer,
};
use ottla::base::crc32c;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

/// Where in a batch its CRC stands, and where what it covers begins.
const CRC_AT: usize = 17;
const CRC_COVERS_FROM: usize = 21;
/// Where in a batch the first record begins.
pub(crate) const RECORDS_AT: usize = 61;

/// A request with its length in front, ready to be written.
pub(crate) fn frame<R: Request + HeaderVersion>(
    request: &R,
    version: i16,
    correlation_id: i32,
) -> Result<Bytes, Failure> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("load")));
    let size = request.compute_size(version)? + 64;
    let mut frame = BytesMut::with_capacity(size);
    frame.put_i32(0);
    encode_request_header_into_buffer(&mut frame, &header)?;
    request.encode(&mut frame, version)?;
    let length = i32::try_from(frame.len() - 4)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame.freeze())
}

/// Reads one answer into `buffer`, which is used again and again, and decodes its body.
pub(crate) async fn answer<R: Request + HeaderVersion>(
    stream: &mut (impl AsyncReadExt + Unpin),
    buffer: &mut BytesMut,
    version: i16,
) -> Result<R::Response, Failure> {
    let length = stream.read_u32().await?;
    buffer.clear();
    buffer.reserve(usize::try_from(length)?);
    let mut rest = stream.take(u64::from(length));
    while rest.limit() > 0 {
        if rest.read_buf(buffer).await? == 0 {
            return Err("the broker closed the connection".into());
        }
    }
    let mut body = buffer.split().freeze();
    // The correlation id is known: answers come in the order of requests. Newer headers have tagged fields, here none.
    let header = if R::Response::header_version(version) == 1 {
        5
    } else {
        4
    };
    if body.len() < header {
        return Err("an answer without a header".into());
    }
    let _header = body.split_to(header);
    Ok(R::Response::decode(&mut body, version)?)
}

/// Connects, and sends each request at once.
pub(crate) async fn connect(address: &str) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One request and its answer.
pub(crate) async fn ask<R: Request + HeaderVersion>(
    stream: &mut TcpStream,
    request: &R,
    version: i16,
) -> Result<R::Response, Failure> {
    stream.write_all(&frame(request, version, 0)?).await?;
    answer::<R>(stream, &mut BytesMut::new(), version).await
}

/// A record batch that can be stamped again: the first record's value begins with a number.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    stamp_at: usize,
}

impl Batch {
    /// `records` records with values of `size` bytes, at least eight.
    pub(crate) fn new(records: usize, size: usize) -> Result<Batch, Failure> {
        let mut bytes = Vec::new();
        bytes.put_i64(0);
        bytes.put_i32(0); // the length, below
        bytes.put_i32(-1);
        bytes.put_u8(2);
        bytes.put_u32(0); // the CRC, in stamped()
        bytes.put_i16(0);
        bytes.put_i32(i32::try_from(records)? - 1);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let now = i64::try_from(now.as_millis())?;
        bytes.put_i64(now);
        bytes.put_i64(now);
        bytes.put_i64(-1);
        bytes.put_i16(-1);
        bytes.put_i32(-1);
        bytes.put_i32(i32::try_from(records)?);
        let mut stamp_at = 0;
        for index in 0..records {
            let mut record = vec![0, 0]; // attributes, timestamp delta
            varint(&mut record, i64::try_from(index)?);
            varint(&mut record, -1);
            varint(&mut record, i64::try_from(size)?);
            let value_at = record.len();
            // Not all the same: nobody who compresses should have it easier.
            record.extend((0..size).map(|at| (at * 31 + index * 7).to_le_bytes()[0]));
            record.push(0);
            varint(&mut bytes, i64::try_from(record.len())?);
            if index == 0 {
                stamp_at = bytes.len() + value_at;
            }
            bytes.extend(record);
        }
        let length = i32::try_from(bytes.len() - 12)?;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        Ok(Batch { bytes, stamp_at })
    }

    /// The batch with `stamp` in its first record, and the CRC that goes with it.
    pub(crate) fn stamped(&mut self, stamp: u64) -> Bytes {
        self.bytes[self.stamp_at..self.stamp_at + 8].copy_from_slice(&stamp.to_be_bytes());
        let crc = crc32c(&self.bytes[CRC_COVERS_FROM..]);
        self.bytes[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
        Bytes::copy_from_slice(&self.bytes)
    }

    pub(crate) fn stamp_at(&self) -> usize {
        self.stamp_at
    }
}

/// A zigzag varint, as records have them.
fn varint(into: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        into.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    into.push(rest.to_le_bytes()[0]);
}

/// The batches in what a fetch brought, without the last one where it was cut off: each with its first offset and the
/// offset after it.
pub(crate) fn batches(mut records: Bytes) -> impl Iterator<Item = (Bytes, i64, i64)> {
    std::iter::from_fn(move || {
        if records.len() < RECORDS_AT {
            return None;
        }
        let base = i64::from_be_bytes(records[..8].try_into().ok()?);
        let length = u32::from_be_bytes(records[8..12].try_into().ok()?);
        let last = i32::from_be_bytes(records[23..27].try_into().ok()?);
        let size = usize::try_from(length).ok()? + 12;
        if records.len() < size {
            return None;
        }
        Some((records.split_to(size), base, base + i64::from(last) + 1))
    })
}
