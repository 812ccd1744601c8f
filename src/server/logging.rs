//! The log: lines on stderr, for people or as JSON.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Config, Notice, keys};

/// `ottla.log.filter` cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "ottla.log.filter: cannot read `{filter}`: {reason}\nhint: write a level such as debug, or module=level, comma \
     separated"
)]
pub struct BadFilter {
    filter: String,
    reason: String,
}

/// Starts the log of this process.
pub fn start_log(config: &Config) -> Result<(), BadFilter> {
    let filter = config.get(keys::OTTLA_LOG_FILTER);
    let read = EnvFilter::builder().parse(&filter);
    let filter = read.map_err(|error| BadFilter {
        filter,
        reason: error.to_string(),
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    match config.get(keys::OTTLA_LOG_FORMAT).as_str() {
        "json" => log.json().flatten_event(true).init(),
        _ => log.with_target(false).init(),
    }
    Ok(())
}

/// Logs what loading the configuration had to say.
pub fn log_notices(notices: &[Notice]) {
    for notice in notices {
        match notice {
            Notice::Info(text) => tracing::info!("{text}"),
            Notice::Warning(text) => tracing::warn!("{text}"),
        }
    }
}
