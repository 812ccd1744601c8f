//! The store under test: one conformance suite for every engine, and the crash suite on a simulated disk.

#![expect(
    clippy::unwrap_used,
    reason = "a test crate: what cannot be unwrapped fails the test"
)]
#![expect(
    clippy::single_range_in_vec_init,
    reason = "a blob is read by a list of ranges, and one range is a list too"
)]

mod conformance;
mod crash;
mod disk;
