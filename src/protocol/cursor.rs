//! Reading Kafka's primitive types from bytes that nobody has vouched for: no panic, no allocation.

/// Why bytes are not what Kafka's protocol says they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("`{field}` is longer than the request")]
    Truncated { field: &'static str },
    #[error("`{field}` has length {length}")]
    Length { field: &'static str, length: i32 },
    #[error("`{field}` is null")]
    Null { field: &'static str },
    #[error("`{field}` has a variable-length integer of more than 32 bits")]
    Varint { field: &'static str },
    #[error("tagged field `{field}` is shorter than its size says")]
    Tagged { field: &'static str },
    #[error("more than {max} elements")]
    Elements { max: u32 },
    #[error("`{field}` is not UTF-8")]
    Utf8 { field: &'static str },
}

/// A position in a slice that only moves forward. Every read names the field that it is for.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Stands at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed::Truncated { field })?;
        self.rest = rest;
        Ok(taken)
    }

    /// Moves over `count` bytes.
    pub fn skip(&mut self, count: usize, field: &'static str) -> Result<(), Malformed> {
        self.take(count, field).map(drop)
    }

    /// A cursor over the next `count` bytes; this one moves over them.
    pub fn part(&mut self, count: usize, field: &'static str) -> Result<Self, Malformed> {
        self.take(count, field).map(Cursor::new)
    }

    /// A signed byte.
    pub fn i8(&mut self, field: &'static str) -> Result<i8, Malformed> {
        self.array(field).map(i8::from_be_bytes)
    }

    /// Two bytes, big-endian.
    pub fn i16(&mut self, field: &'static str) -> Result<i16, Malformed> {
        self.array(field).map(i16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    pub fn i32(&mut self, field: &'static str) -> Result<i32, Malformed> {
        self.array(field).map(i32::from_be_bytes)
    }

    /// Kafka's unsigned variable-length integer: seven bits a byte, lowest first, at most 32 bits.
    pub fn varint(&mut self, field: &'static str) -> Result<u32, Malformed> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array(field)?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(Malformed::Varint { field });
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::Varint { field })
    }

    /// A classic string's length: -1 is null.
    pub fn length_i16(&mut self, field: &'static str) -> Result<Option<usize>, Malformed> {
        let length = i32::from(self.i16(field)?);
        length_or_null(length, field)
    }

    /// The length of classic bytes or of a classic array: -1 is null.
    pub fn length_i32(&mut self, field: &'static str) -> Result<Option<usize>, Malformed> {
        let length = self.i32(field)?;
        length_or_null(length, field)
    }

    /// A compact length: 0 is null, else one more than the length.
    pub fn compact_length(&mut self, field: &'static str) -> Result<Option<usize>, Malformed> {
        let stored = self.varint(field)?;
        Ok(stored
            .checked_sub(1)
            .map(|length| usize::try_from(length).unwrap_or(usize::MAX)))
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(Malformed::Truncated { field })?;
        self.rest = rest;
        Ok(*taken)
    }
}

fn length_or_null(length: i32, field: &'static str) -> Result<Option<usize>, Malformed> {
    match usize::try_from(length) {
        Ok(length) => Ok(Some(length)),
        Err(_) if length == -1 => Ok(None),
        Err(_) => Err(Malformed::Length { field, length }),
    }
}
