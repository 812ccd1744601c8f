//! The log: lines on stderr, for people or as JSON. An event is one line, whatever it quotes.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

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
        .with_writer(|| OneLine(io::stderr()));
    match config.get(keys::OTTLA_LOG_FORMAT).as_str() {
        "json" => log.json().flatten_event(true).init(),
        _ => log.with_target(false).init(),
    }
    Ok(())
}

/// Writes events, each handed over whole and with its line feed, as one line each. What an event quotes comes from
/// clients and from the errors of libraries: a line feed in it would let a client write lines that the broker never wrote.
#[derive(Debug)]
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(&one_line(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The event with its control characters escaped, all but the line feed at its end and those that start a colour, which
/// the formatter puts in for a terminal.
fn one_line(event: &[u8]) -> Cow<'_, [u8]> {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    let is_escaped = |at: usize| text[at].is_ascii_control() && !starts_colour(&text[at..]);
    if !(0..text.len()).any(is_escaped) {
        return Cow::Borrowed(event);
    }
    let mut line = Vec::with_capacity(event.len() + 16);
    for (at, byte) in text.iter().enumerate() {
        match is_escaped(at) {
            true => line.extend(byte.escape_ascii()),
            false => line.push(*byte),
        }
    }
    line.extend(&event[text.len()..]);
    Cow::Owned(line)
}

/// Whether these bytes begin with a sequence that selects how characters look (ECMA-48's SGR), and does no more.
fn starts_colour(text: &[u8]) -> bool {
    let Some(parameters) = text.strip_prefix(b"\x1b[") else {
        return false;
    };
    let end = parameters
        .iter()
        .find(|byte| !byte.is_ascii_digit() && **byte != b';');
    end == Some(&b'm')
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

#[cfg(test)]
mod tests {
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no test panics").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = OneLine<Self>;

        fn make_writer(&self) -> Self::Writer {
            OneLine(self.clone())
        }
    }

    #[test]
    fn an_event_is_one_line_whatever_it_quotes() {
        let written = Written::default();
        let log = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_writer(written.clone())
            .finish();
        tracing::subscriber::with_default(log, || {
            let forged = "x\n2026-01-01T00:00:00Z  INFO all is well\r\0\x1b[2J\u{7f}é\ttab";
            tracing::warn!(error = %forged, client_id = forged, "refused: {forged}");
            tracing::warn!("next");
        });
        let written = written.0.lock().expect("no test panics").clone();
        let written = String::from_utf8(written).expect("text stays text");
        let lines: Vec<_> = written.lines().collect();
        assert_eq!(lines.len(), 2, "{written}");
        assert!(!lines[0].contains(char::is_control), "{:?}", lines[0]);
        assert!(
            lines[0].contains(r"refused: x\n2026-01-01T00:00:00Z"),
            "{}",
            lines[0]
        );
        assert!(lines[0].contains(r"é\ttab"), "{}", lines[0]);
    }

    #[test]
    fn colours_stay_and_other_sequences_do_not() {
        let event = b"\x1b[2m12:00\x1b[0m \x1b[1;31mred\x1b[0m \x1b[2J\x1b]0;title\x07\x1b[31\n";
        let line = one_line(event);
        let expected =
            b"\x1b[2m12:00\x1b[0m \x1b[1;31mred\x1b[0m \\x1b[2J\\x1b]0;title\\x07\\x1b[31\n";
        assert_eq!(
            line.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }
}
