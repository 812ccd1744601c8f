//! Ottla: a Kafka broker in one small binary. Modules in reading order; imports point one way only, from the later
//! to the earlier, and `tests/tidy.rs` holds the table of allowed edges.

pub mod api;
pub mod base;
pub mod broker;
pub mod cluster;
pub mod config;
pub mod group;
pub mod log;
pub mod metrics;
pub mod protocol;
pub mod server;
pub mod store;
pub mod tools;

/// A reservation of memory must be virtual until it is touched: kafka-protocol reserves what a count on the wire
/// asks for. Here, not in the binary, so that tests and fuzz targets have it too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
