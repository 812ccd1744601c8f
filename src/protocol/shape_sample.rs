//! Random requests of a shape, for tests: what the shape says is right, kafka-protocol must decode.

#![expect(
    clippy::cast_possible_truncation,
    reason = "random numbers below a small bound"
)]

use super::{Field, Kind, Shape};
use crate::base::Rng;

/// A random body that has this shape.
pub(crate) fn body(shape: &Shape, version: i16, rng: &mut Rng) -> Vec<u8> {
    sample(shape, version, None, rng).bytes
}

/// A random body in which one value is null although the shape says that it never is, if the body has such a value.
pub(crate) fn body_with_forbidden_null(
    shape: &Shape,
    version: i16,
    rng: &mut Rng,
) -> Option<Vec<u8>> {
    let skip = rng.below(4);
    let sample = sample(shape, version, Some(skip), rng);
    sample
        .forbidden_null_after
        .is_none()
        .then_some(sample.bytes)
}

fn sample<'a>(
    shape: &Shape,
    version: i16,
    forbidden_null_after: Option<u64>,
    rng: &'a mut Rng,
) -> Sample<'a> {
    let mut sample = Sample {
        version,
        flexible: shape.is_flexible(version),
        forbidden_null_after,
        rng,
        bytes: Vec::new(),
    };
    sample.fields(shape.fields);
    sample
}

struct Sample<'a> {
    version: i16,
    flexible: bool,
    /// How many values that may not be null come before the one that is; `None` once it was written.
    forbidden_null_after: Option<u64>,
    rng: &'a mut Rng,
    bytes: Vec<u8>,
}

impl Sample<'_> {
    fn fields(&mut self, fields: &[Field]) {
        let present = |field: &&Field| field.has(self.version);
        let (tagged, placed): (Vec<&Field>, Vec<&Field>) = fields
            .iter()
            .filter(present)
            .partition(|field| field.tag.is_some());
        for field in placed {
            self.value(&field.kind, self.version >= field.null_since);
        }
        if self.flexible {
            self.tagged(&tagged);
        }
    }

    fn tagged(&mut self, fields: &[&Field]) {
        let chosen: Vec<&Field> = fields
            .iter()
            .copied()
            .filter(|_| self.rng.one_in(2))
            .collect();
        let unknown = self.rng.below(2);
        self.varint(chosen.len() as u64 + unknown);
        for field in chosen {
            let outer = std::mem::take(&mut self.bytes);
            self.value(&field.kind, self.version >= field.null_since);
            let value = std::mem::replace(&mut self.bytes, outer);
            self.varint(u64::from(field.tag.unwrap_or_default()));
            self.varint(value.len() as u64);
            self.bytes.extend(value);
        }
        if unknown == 1 {
            self.varint(1_000_000);
            let size = self.rng.below(5);
            self.varint(size);
            self.random(size);
        }
    }

    fn value(&mut self, kind: &Kind, nullable: bool) {
        let null = match kind {
            Kind::Fixed(_) => false,
            Kind::Struct(_) if !nullable => false,
            _ if nullable => self.rng.one_in(4),
            _ => self.forbidden_null(),
        };
        match kind {
            // A boolean comes back as 0 or 1, whatever it was.
            Kind::Fixed(1) => {
                let bit = self.rng.below(2);
                self.bytes.push(u8::from(bit == 1));
            }
            Kind::Fixed(size) => self.random(*size as u64),
            Kind::String => {
                let length = self.length(null, 20, Width::Two);
                let letters = (0..length).map(|_| b'a' + (self.rng.below(26) as u8));
                let letters: Vec<u8> = letters.collect();
                self.bytes.extend(letters);
            }
            Kind::Bytes => {
                let length = self.length(null, 100, Width::Four);
                self.random(length);
            }
            Kind::Values(kind) => {
                for _ in 0..self.length(null, 4, Width::Four) {
                    self.value(kind, false);
                }
            }
            Kind::Structs(fields) => {
                for _ in 0..self.length(null, 4, Width::Four) {
                    self.fields(fields);
                }
            }
            Kind::Struct(fields) => {
                if nullable {
                    self.bytes.push(if null { 0xff } else { 1 });
                }
                if !null {
                    self.fields(fields);
                }
            }
        }
    }

    fn forbidden_null(&mut self) -> bool {
        let here = self.forbidden_null_after == Some(0);
        self.forbidden_null_after = self
            .forbidden_null_after
            .and_then(|left| left.checked_sub(1));
        here
    }

    /// Writes a random length below `bound`, or null, and returns how many elements follow.
    fn length(&mut self, null: bool, bound: u64, width: Width) -> u64 {
        let length = if null { 0 } else { self.rng.below(bound) };
        let stored = if null { -1 } else { length as i32 };
        match (self.flexible, width) {
            (true, _) => self.varint(if null { 0 } else { length + 1 }),
            (false, Width::Two) => self.bytes.extend((stored as i16).to_be_bytes()),
            (false, Width::Four) => self.bytes.extend(stored.to_be_bytes()),
        }
        length
    }

    fn random(&mut self, count: u64) {
        let bytes: Vec<u8> = (0..count).map(|_| self.rng.below(256) as u8).collect();
        self.bytes.extend(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

/// Bytes of a classic length.
#[derive(Clone, Copy)]
enum Width {
    Two,
    Four,
}
