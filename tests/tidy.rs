//! The style rules that a test can hold.
