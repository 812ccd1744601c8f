//! Newtypes for integers that could otherwise be swapped.

/// Identifies a partition log for ever: given at creation, never reused, so that a topic that is deleted and
/// created again shares no row with its predecessor. Not Kafka's partition index, which counts within a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionNumber(pub u32);

/// A producer id (KIP-98); -1 stands for "no producer id" on the wire and never appears here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProducerId(pub i64);

/// A producer epoch (KIP-98), 0..=32767.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProducerEpoch(pub i16);

/// A partition leader epoch (KIP-101); a broker on its own stays at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaderEpoch(pub i32);

/// The `node.id` of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub i32);
