//! What every file of the engine is written with: big-endian numbers and CRC-32C.

use crate::base::{crc32c, crc32c_append};

/// Reads fixed-width fields from the front of a slice; `None` when it ends too early, never a panic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(front)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

/// CRC-32C of everything that is in no frame.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    crc32c(bytes)
}

/// What the CRCs of a segment's frames begin with, made of the salt in its header: bytes that were a frame in
/// another generation, or that a client copied from a segment into a record, make no valid frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal(u32);

impl Seal {
    /// Of what lies in no segment.
    pub(super) const NONE: Self = Self(0);

    pub(super) fn new(salt: &[u8; 16], generation: u64) -> Self {
        let salted = crc32c(salt);
        Self(crc32c_append(salted, &generation.to_be_bytes()))
    }

    /// Goes on from a CRC that was begun.
    pub(super) fn of_crc(crc: u32) -> Self {
        Self(crc)
    }

    /// The CRC of several slices in a row.
    pub(super) fn crc(self, slices: &[&[u8]]) -> u32 {
        let add = |crc, slice: &&[u8]| crc32c_append(crc, slice);
        slices.iter().fold(self.0, add)
    }
}

/// A length as the engine's files hold it. Every length was bounded before, so it fits.
pub(super) fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A length or position in memory terms; on a 32-bit machine a larger one fails the bound check that follows.
pub(super) fn to_usize(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// A length in memory as a file length.
pub(super) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
