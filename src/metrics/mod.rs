//! What the broker counts and measures: one table ([`table`]) declares every metric, by Prometheus' conventions; what is
//! counted costs an atomic addition; [`Page`] is the text that Prometheus reads, [`markdown`] is docs/metrics.md.
//!
//! The instruments are statics: a process has one broker, and whoever counts something needs no more than its name.
//! What lies in memory anyway (connections, heads, the cache) is not counted but read when a page is made.

mod def;
mod document;
mod instrument;
mod page;
mod process;
pub mod table;

pub use def::{Def, Kind, Reading};
pub use document::markdown;
pub use instrument::{Counter, CounterGrid, CounterRow, Histogram, HistogramRow};
pub use page::{Family, Page};
pub use process::process;
