//! A start on a folder whose row snapshots are damaged, and whose rows have to come from there: sled has none.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| ottla_fuzz::with_damager("snapshot", input));
