//! What the integration tests share: a broker in this process, and a client that speaks raw frames.

pub(crate) mod broker;
pub(crate) mod client;
