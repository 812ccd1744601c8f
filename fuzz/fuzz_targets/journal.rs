//! A start on a folder whose journal files and marks are damaged: replay.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| ottla_fuzz::with_damager("", input));
