//! The wire: frames, bounds that are checked before decoding, record batches as views over bytes.
