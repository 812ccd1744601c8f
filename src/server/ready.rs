//! Telling the world that requests are answered: one line on stdout, and a file for those who wait.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::run::RunError;
use crate::config::{Config, keys};

/// Prints the line for people: addresses, where data is, how durable, which version; after it `ottla.ready.line`.
pub(super) fn ready_line(config: &Config, addresses: &[SocketAddr]) -> io::Result<()> {
    let addresses: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    let data = if config.get(keys::OTTLA_STORE) == "memory" {
        "data in memory only".to_owned()
    } else {
        format!(
            "data in {}, durability {}",
            config.data_folder().display(),
            config.get(keys::OTTLA_DURABILITY)
        )
    };
    let mut stdout = io::stdout().lock();
    writeln!(
        stdout,
        "ottla {} is ready on {}, {data}",
        env!("CARGO_PKG_VERSION"),
        addresses.join(", "),
    )?;
    if let Some(line) = config.get(keys::OTTLA_READY_LINE) {
        writeln!(stdout, "{line}")?;
    }
    stdout.flush()
}

/// The file of `--ready-file`; it exists exactly while requests are answered.
#[derive(Debug)]
pub(super) struct ReadyFile(Option<PathBuf>);

impl ReadyFile {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    /// Writes the addresses, one in a line. Whoever sees the file sees all of it.
    pub(super) fn write(&self, addresses: &[SocketAddr]) -> Result<(), RunError> {
        let Some(path) = &self.0 else {
            return Ok(());
        };
        let text: String = addresses
            .iter()
            .map(|address| format!("{address}\n"))
            .collect();
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(".tmp");
        fs::write(&unfinished, text)
            .and_then(|()| fs::rename(&unfinished, path))
            .map_err(|cause| self.failed(cause))
    }

    /// Removes the file, one of an earlier run included: it would say what is not so.
    pub(super) fn remove(&self) -> Result<(), RunError> {
        match self.0.as_ref().map(fs::remove_file) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(cause)) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
            Some(Err(cause)) => Err(self.failed(cause)),
        }
    }

    fn failed(&self, cause: io::Error) -> RunError {
        RunError::ReadyFile {
            path: self.0.clone().unwrap_or_default(),
            cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_file_is_whole_and_goes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready");
        let file = ReadyFile::new(Some(path.clone()));
        file.remove().unwrap();
        let addresses = ["127.0.0.1:9092", "[::1]:9093"].map(|text| text.parse().unwrap());
        file.write(&addresses).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "127.0.0.1:9092\n[::1]:9093\n"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        file.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_ready_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = ReadyFile::new(Some(folder.path().join("missing/ready")));
        let error = file.write(&[]).unwrap_err();
        assert!(error.to_string().contains("missing/ready"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
