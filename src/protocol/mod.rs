//! The wire: frames, and bounds that are checked before anything is decoded.

pub mod cursor;
pub mod frame;
pub mod shape;

pub use cursor::Malformed;
