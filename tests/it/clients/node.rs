//! The broker that a test talks to: the binary as users start it, on a port of its own.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::PATIENCE;

/// A running broker; it is killed when the test ends.
pub(crate) struct Node {
    address: String,
    /// `None` for a broker that is there already.
    child: Option<Child>,
    /// Holds the ready file and the log.
    _folder: Option<TempDir>,
}

/// A fresh broker that keeps everything in memory, or the one that OTTLA_IT_BOOTSTRAP names.
pub(crate) fn node() -> Node {
    match std::env::var("OTTLA_IT_BOOTSTRAP") {
        Ok(address) => Node {
            address,
            child: None,
            _folder: None,
        },
        Err(_) => Node::start("127.0.0.1:0", |command| command.args(["--store", "memory"])),
    }
}

impl Node {
    fn start(listen: &str, set: impl FnOnce(&mut Command) -> &mut Command) -> Node {
        let folder = tempfile::tempdir().unwrap();
        let (ready, log) = (folder.path().join("ready"), folder.path().join("log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
        command
            .args(["--listen", listen, "--ready-file"])
            .arg(&ready);
        set(&mut command);
        let out = std::fs::File::create(&log).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out);
        let mut child = command.spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !ready.exists() {
            let ended = child.try_wait().unwrap();
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "the broker ended:\n{}", said());
            assert!(Instant::now() < deadline, "it is not ready:\n{}", said());
            std::thread::sleep(Duration::from_millis(2));
        }
        let text = std::fs::read_to_string(&ready).unwrap();
        let word = text
            .split_whitespace()
            .find(|word| word.contains("127.0.0.1:"));
        let at = word.expect("the ready file names the address");
        Node {
            address: at[at.find("127.0.0.1:").unwrap()..].to_owned(),
            child: Some(child),
            _folder: Some(folder),
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What a change's answer has said is seen at once; a broker that is there already may be one that lags.
    #[track_caller]
    pub(crate) fn shows(&self, what: &str, seen: impl Fn() -> bool) {
        let lag_max = if self.child.is_some() {
            Duration::ZERO
        } else {
            PATIENCE
        };
        let deadline = Instant::now() + lag_max;
        while !seen() {
            assert!(Instant::now() < deadline, "the broker does not show {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Nothing better can be done for a child that is gone already.
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}
