//! The memory engine, for tests and `--store memory`.
