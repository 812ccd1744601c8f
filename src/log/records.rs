//! The records of a batch (uncompressed): varints, lengths and counts from whoever sent them, so nothing is believed.

/// One record, as slices of the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub attributes: i8,
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub header_count: i32,
    /// The headers as they are encoded; checked to be well formed.
    pub headers: &'a [u8],
}

/// The record section is not what its header says; nothing after this point can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedRecord(pub &'static str);

/// Iterates over exactly the records that the batch header counts; an error ends it. Bytes left over are an error too.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    left: i32,
}

impl<'a> Records<'a> {
    /// `section` is what follows the batch header, uncompressed; `count` is the header's.
    pub fn new(section: &'a [u8], count: i32) -> Self {
        Self {
            rest: section,
            left: count.max(0),
        }
    }

    fn next_record(&mut self) -> Result<Record<'a>, MalformedRecord> {
        let size = varint(&mut self.rest)?;
        let body = take(&mut self.rest, size, "record is longer than its batch")?;
        if self.left == 0 && !self.rest.is_empty() {
            return Err(MalformedRecord("batch holds more than its records"));
        }
        parse(body)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, MalformedRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1).filter(|left| *left >= 0)?;
        let record = self.next_record();
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }
}

fn parse(mut body: &[u8]) -> Result<Record<'_>, MalformedRecord> {
    let rest = &mut body;
    let [attributes] = *take_array(rest)?;
    let timestamp_delta = varlong(rest)?;
    let offset_delta = varint(rest)?;
    let key = take_nullable(rest)?;
    let value = take_nullable(rest)?;
    let header_count = varint(rest)?;
    let headers = *rest;
    if header_count != 0 {
        skip_headers(rest, header_count)?;
    }
    if !rest.is_empty() {
        return Err(MalformedRecord("record is longer than its fields"));
    }
    Ok(Record {
        attributes: i8::from_be_bytes([attributes]),
        timestamp_delta,
        offset_delta,
        key,
        value,
        header_count,
        headers,
    })
}

fn skip_headers(rest: &mut &[u8], count: i32) -> Result<(), MalformedRecord> {
    // A header takes two bytes at least, so a count beyond the bytes ends early and is no loop of billions.
    if usize::try_from(count).map_or(true, |count| count > rest.len()) {
        return Err(MalformedRecord(
            "record has an impossible number of headers",
        ));
    }
    for _ in 0..count {
        let size = varint(rest)?;
        take(rest, size, "record has a header key of impossible size")?;
        take_nullable(rest)?;
    }
    Ok(())
}

/// A length and as many bytes; any negative length is null.
fn take_nullable<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, MalformedRecord> {
    match varint(rest)? {
        size if size < 0 => Ok(None),
        size => take(rest, size, "record is shorter than its fields").map(Some),
    }
}

fn take<'a>(
    rest: &mut &'a [u8],
    size: i32,
    reason: &'static str,
) -> Result<&'a [u8], MalformedRecord> {
    let size = usize::try_from(size).map_err(|_| MalformedRecord(reason))?;
    let (taken, left) = (rest.split_at_checked(size)).ok_or(MalformedRecord(reason))?;
    *rest = left;
    Ok(taken)
}

fn take_array<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], MalformedRecord> {
    let (taken, left) = rest.split_first_chunk().ok_or(CUT_SHORT)?;
    *rest = left;
    Ok(taken)
}

const CUT_SHORT: MalformedRecord = MalformedRecord("record is cut short");
const OVERLONG: MalformedRecord = MalformedRecord("record has an over-long number");

/// A zigzag varint of at most five bytes.
fn varint(rest: &mut &[u8]) -> Result<i32, MalformedRecord> {
    if let [byte @ 0..0x80, left @ ..] = *rest {
        *rest = left;
        return Ok(i32::from(byte >> 1) ^ -i32::from(byte & 1));
    }
    let raw = unsigned(rest, 5)?;
    // Bits above the 32nd of the fifth byte are dropped, as Kafka drops them.
    let raw = u32::try_from(raw & u64::from(u32::MAX)).unwrap_or(0);
    Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

/// A zigzag varint of at most ten bytes.
fn varlong(rest: &mut &[u8]) -> Result<i64, MalformedRecord> {
    let raw = unsigned(rest, 10)?;
    Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

fn unsigned(rest: &mut &[u8], size_max: usize) -> Result<u64, MalformedRecord> {
    let mut value = 0;
    for (index, byte) in rest.iter().enumerate().take(size_max) {
        value |= u64::from(byte & 0x7f).unbounded_shl(u32::try_from(index * 7).unwrap_or(64));
        if byte & 0x80 == 0 {
            *rest = &rest[index + 1..];
            return Ok(value);
        }
    }
    Err(if rest.len() < size_max {
        CUT_SHORT
    } else {
        OVERLONG
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_zigzag_and_bounded() {
        let read = |mut bytes: &[u8]| varint(&mut bytes).map(|value| (value, bytes.len()));
        assert_eq!(read(&[0]), Ok((0, 0)));
        assert_eq!(read(&[1, 9]), Ok((-1, 1)));
        assert_eq!(read(&[0xac, 0x02]), Ok((150, 0)));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok((i32::MIN, 0)));
        assert_eq!(read(&[0xfe, 0xff, 0xff, 0xff, 0x0f]), Ok((i32::MAX, 0)));
        assert_eq!(read(&[0x80, 0x80]), Err(CUT_SHORT));
        assert_eq!(read(&[0x80; 6]), Err(OVERLONG));
        let read = |mut bytes: &[u8]| varlong(&mut bytes);
        assert_eq!(
            read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            Ok(i64::MIN)
        );
        assert_eq!(read(&[0xff; 11]), Err(OVERLONG));
        assert_eq!(read(&[0x80]), Err(CUT_SHORT));
    }

    /// Two records by hand: key "k", value null, one header "h" -> "v"; and null key, value "xy".
    const TWO: &[u8] = &[
        22, 0, 0, 0, 2, b'k', 1, 2, 2, b'h', 2, b'v', // 11 bytes
        16, 0, 6, 2, 1, 4, b'x', b'y', 0, // 8 bytes
    ];

    #[test]
    fn records_are_read_whole() {
        let records: Vec<_> = Records::new(TWO, 2).collect::<Result<_, _>>().unwrap();
        assert_eq!(records[0].key, Some(&b"k"[..]));
        assert_eq!((records[0].value, records[0].header_count), (None, 1));
        assert_eq!(records[0].headers, &[2, b'h', 2, b'v']);
        assert_eq!((records[1].key, records[1].value), (None, Some(&b"xy"[..])));
        assert_eq!(
            (records[1].offset_delta, records[1].timestamp_delta),
            (1, 3)
        );
    }

    #[test]
    fn every_cut_and_every_wrong_count_is_an_error() {
        for end in 0..TWO.len() {
            assert!(Records::new(&TWO[..end], 2).any(|record| record.is_err()));
        }
        assert!(Records::new(TWO, 1).any(|record| record.is_err()));
        assert!(Records::new(TWO, 3).any(|record| record.is_err()));
        assert_eq!(Records::new(TWO, i32::MAX).count(), 3);
        assert_eq!(Records::new(TWO, -5).count(), 0);
    }

    #[test]
    fn flipped_bytes_never_panic() {
        for at in 0..TWO.len() {
            for value in 0..=u8::MAX {
                let mut bytes = TWO.to_vec();
                bytes[at] = value;
                assert!(Records::new(&bytes, 2).count() <= 2);
            }
        }
    }
}
