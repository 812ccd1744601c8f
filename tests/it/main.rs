//! Integration tests over real sockets: each test has a broker and a store of its own.

mod clients;
mod hostile;
mod live;
mod metrics;
mod process;
mod support;
