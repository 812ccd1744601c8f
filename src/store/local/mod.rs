//! The local engine: journal files + sled (ARCHITECTURE.md, docs/storage.md).

pub mod disk;
