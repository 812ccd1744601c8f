//! Arguments, configuration, serve, exit code; nothing else.

fn main() {}
