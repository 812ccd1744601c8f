//! The shape of a request on the wire, walked before the request is decoded.
//!
//! kafka-protocol reserves memory for whatever count it reads: four bytes of a Metadata request ask for 154 GB. So each
//! API declares its request's fields here, by version, and [`Shape::walk`] runs over the body first: every count
//! and length must fit the bytes that are left, the whole request must stay within an element budget (a topic
//! that is two bytes on the wire is 72 in memory), and null is refused where the schema has no null. What passes can
//! be decoded in memory proportional to the frame.
//!
//! A shape reads like Kafka's own schema files (`clients/src/main/resources/common/message/*Request.json`):
//!
//! ```
//! use ottla::protocol::shape::{BOOLEAN, STRING, Shape, UUID, array, field};
//! const METADATA: Shape = Shape::new(&[
//!     field(
//!         "topics",
//!         array(&[field("topic_id", UUID).since(10), field("name", STRING).null_since(10)]),
//!     )
//!     .null_since(1),
//!     field("allow_auto_topic_creation", BOOLEAN).since(4),
//!     field("include_cluster_authorized_operations", BOOLEAN).since(8).until(10),
//!     field("include_topic_authorized_operations", BOOLEAN).since(8),
//! ])
//! .flexible_since(9);
//! assert!(METADATA.walk(0, &[0x7f, 0xff, 0xff, 0xff]).is_err());
//! ```

use super::cursor::{Cursor, Malformed};

/// Most array elements and tagged fields in one request: what 100 MiB of the smallest elements could amount to is
/// otherwise several GB of decoded structs.
pub const ELEMENTS_MAX: u32 = 262_144;

/// Bytes that an element takes in memory, decoded and with its part of the answer: what it is charged with.
/// As structs a topic of a Metadata request has 72 bytes and its answer 160.
pub const ELEMENT_SIZE: usize = 256;

/// One byte: false is 0.
pub const BOOLEAN: Kind = Kind::Fixed(1);
/// One byte.
pub const INT8: Kind = Kind::Fixed(1);
/// Two bytes.
pub const INT16: Kind = Kind::Fixed(2);
/// Four bytes.
pub const INT32: Kind = Kind::Fixed(4);
/// Eight bytes.
pub const INT64: Kind = Kind::Fixed(8);
/// Eight bytes.
pub const FLOAT64: Kind = Kind::Fixed(8);
/// Sixteen bytes.
pub const UUID: Kind = Kind::Fixed(16);
/// A string with its length; compact in flexible versions. That it is UTF-8 is checked when it is decoded.
pub const STRING: Kind = Kind::String;
/// Bytes with their length; compact in flexible versions.
pub const BYTES: Kind = Kind::Bytes;
/// Record batches, on the wire the same as [`BYTES`].
pub const RECORDS: Kind = Kind::Bytes;

/// An array of structs.
pub const fn array(fields: &'static [Field]) -> Kind {
    Kind::Structs(fields)
}

/// An array of plain values: `list(&STRING)`.
pub const fn list(kind: &'static Kind) -> Kind {
    Kind::Values(kind)
}

/// A struct inside a struct; where it may be null, one byte says whether it is there.
pub const fn structure(fields: &'static [Field]) -> Kind {
    Kind::Struct(fields)
}

/// A field of all versions, never null, not tagged; the methods of [`Field`] say otherwise.
pub const fn field(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        since: 0,
        until: i16::MAX,
        null_since: i16::MAX,
        tag: None,
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Fixed(usize),
    String,
    Bytes,
    Values(&'static Kind),
    Structs(&'static [Field]),
    Struct(&'static [Field]),
}

/// One field of a request or of a struct in it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    name: &'static str,
    kind: Kind,
    since: i16,
    until: i16,
    null_since: i16,
    tag: Option<u32>,
}

impl Field {
    /// Only in `version` and later.
    pub const fn since(mut self, version: i16) -> Self {
        self.since = version;
        self
    }

    /// Only in `version` and earlier.
    pub const fn until(mut self, version: i16) -> Self {
        self.until = version;
        self
    }

    /// May be null in `version` and later.
    pub const fn null_since(mut self, version: i16) -> Self {
        self.null_since = version;
        self
    }

    /// Comes as the tagged field `tag`, not in its place (KIP-482).
    pub const fn tag(mut self, tag: u32) -> Self {
        self.tag = Some(tag);
        self
    }

    /// The name in Kafka's schema, in snake case.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it holds.
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The tag under which it comes, if it is a tagged field.
    pub const fn tag_number(&self) -> Option<u32> {
        self.tag
    }

    /// Whether requests of `version` have it.
    pub const fn has(&self, version: i16) -> bool {
        version >= self.since && version <= self.until
    }

    /// Whether it may be null in `version`.
    pub const fn is_nullable(&self, version: i16) -> bool {
        version >= self.null_since
    }
}

/// The shape of one API's request.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    fields: &'static [Field],
    flexible_since: i16,
}

impl Shape {
    /// The shape of a request with these fields and no flexible version.
    pub const fn new(fields: &'static [Field]) -> Self {
        Self {
            fields,
            flexible_since: i16::MAX,
        }
    }

    /// Compact lengths and tagged fields from `version` on (KIP-482).
    pub const fn flexible_since(mut self, version: i16) -> Self {
        self.flexible_since = version;
        self
    }

    /// The fields in their order on the wire, the tagged ones among them.
    pub const fn fields(&self) -> &'static [Field] {
        self.fields
    }

    /// Whether `version` has compact lengths and tagged fields, in its header too.
    pub const fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible_since
    }

    /// Runs over the body of a request and answers how many elements it holds. Bytes after it are let pass, as Kafka
    /// does: librdkafka leaves three when it asks for the metadata of all topics (v9 and later).
    pub fn walk(&self, version: i16, body: &[u8]) -> Result<u32, Malformed> {
        let mut walker = Walker {
            version,
            flexible: self.is_flexible(version),
            elements_left: ELEMENTS_MAX,
        };
        let mut cursor = Cursor::new(body);
        walker.fields(&mut cursor, self.fields)?;
        Ok(ELEMENTS_MAX - walker.elements_left)
    }
}

struct Walker {
    version: i16,
    flexible: bool,
    elements_left: u32,
}

impl Walker {
    fn fields(&mut self, at: &mut Cursor<'_>, fields: &[Field]) -> Result<(), Malformed> {
        for field in fields.iter().filter(|field| field.tag.is_none()) {
            if field.has(self.version) {
                self.value(at, field)?;
            }
        }
        if self.flexible {
            self.tagged_fields(at, fields)?;
        }
        Ok(())
    }

    fn value(&mut self, at: &mut Cursor<'_>, field: &Field) -> Result<(), Malformed> {
        let null_allowed = field.is_nullable(self.version);
        let kind = &field.kind;
        let null = match kind {
            Kind::Fixed(size) => return at.skip(*size, field.name),
            Kind::Struct(fields) if !null_allowed => return self.fields(at, fields),
            Kind::Struct(fields) if at.i8(field.name)? >= 0 => return self.fields(at, fields),
            Kind::Struct(_) => true,
            Kind::String => self.string(at, field.name)?.is_none(),
            Kind::Bytes => self.bytes(at, field.name)?.is_none(),
            Kind::Values(_) | Kind::Structs(_) => self.elements(at, field)?.is_none(),
        };
        if null && !null_allowed {
            return Err(Malformed::Null { field: field.name });
        }
        Ok(())
    }

    fn string(&self, at: &mut Cursor<'_>, name: &'static str) -> Result<Option<()>, Malformed> {
        match self.flexible {
            true => at.compact_length(name)?,
            false => at.length_i16(name)?,
        }
        .map(|length| at.skip(length, name))
        .transpose()
    }

    fn bytes(&self, at: &mut Cursor<'_>, name: &'static str) -> Result<Option<()>, Malformed> {
        match self.flexible {
            true => at.compact_length(name)?,
            false => at.length_i32(name)?,
        }
        .map(|length| at.skip(length, name))
        .transpose()
    }

    fn elements(&mut self, at: &mut Cursor<'_>, field: &Field) -> Result<Option<()>, Malformed> {
        let length = match self.flexible {
            true => at.compact_length(field.name)?,
            false => at.length_i32(field.name)?,
        };
        let Some(count) = length else {
            return Ok(None);
        };
        // No element is smaller than a byte.
        if count > at.remaining() {
            return Err(Malformed::Truncated { field: field.name });
        }
        self.spend(count)?;
        match field.kind {
            Kind::Values(Kind::Fixed(size)) => at.skip(count * size, field.name)?,
            Kind::Values(kind) => {
                let element = self::field(field.name, *kind);
                for _ in 0..count {
                    self.value(at, &element)?;
                }
            }
            Kind::Structs(fields) => {
                for _ in 0..count {
                    self.fields(at, fields)?;
                }
            }
            Kind::Fixed(_) | Kind::String | Kind::Bytes | Kind::Struct(_) => {}
        }
        Ok(Some(()))
    }

    fn tagged_fields(&mut self, at: &mut Cursor<'_>, fields: &[Field]) -> Result<(), Malformed> {
        const NAME: &str = "tagged fields";
        let count = at.varint(NAME)?;
        self.spend(usize::try_from(count).unwrap_or(usize::MAX))?;
        for _ in 0..count {
            let tag = at.varint(NAME)?;
            let size = at.varint(NAME)?;
            let mut inner = at.part(usize::try_from(size).unwrap_or(usize::MAX), NAME)?;
            let known = fields
                .iter()
                .find(|field| field.tag == Some(tag) && field.has(self.version));
            if let Some(field) = known {
                self.value(&mut inner, field)?;
                if inner.remaining() > 0 {
                    return Err(Malformed::Tagged { field: field.name });
                }
            }
        }
        Ok(())
    }

    fn spend(&mut self, count: usize) -> Result<(), Malformed> {
        self.elements_left = u32::try_from(count)
            .ok()
            .and_then(|count| self.elements_left.checked_sub(count))
            .ok_or(Malformed::Elements { max: ELEMENTS_MAX })?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "shape_sample.rs"]
pub(crate) mod sample;
#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
