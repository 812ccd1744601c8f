//! What every other module may use: identifiers, time, randomness, checksums, futures. Imports nothing of ours.

mod clock;
mod crc;
mod id;
mod ids;
mod rng;
mod rope;

pub use clock::{Clock, ManualClock, SystemClock};
pub use crc::{crc32c, crc32c_append};
pub use id::{decode_id, encode_id};
pub use ids::{LeaderEpoch, NodeId, PartitionNumber, ProducerEpoch, ProducerId};
pub use rng::Rng;
pub use rope::{Rope, RopeReader};

/// A boxed future, the return type of async functions behind a trait object.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
