//! Listeners, connections, shutdown.
