//! The broker that a test talks to: the binary as users start it, on a port of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::PATIENCE;

/// A running broker; it is killed when the test ends without stopping it.
pub(crate) struct Node {
    address: String,
    /// `None` for a broker that is there already.
    child: Option<Child>,
    /// What it writes into; they go when it has.
    folders: Vec<TempDir>,
}

/// A fresh broker with a data folder of its own, or the one that OTTLA_IT_BOOTSTRAP names.
pub(crate) fn node() -> Node {
    match std::env::var("OTTLA_IT_BOOTSTRAP") {
        Ok(address) => Node {
            address,
            child: None,
            folders: Vec::new(),
        },
        Err(_) => {
            let folder = tempfile::tempdir().unwrap();
            let mut node = Node::on_disk(&folder.path().join("data"), None);
            node.folders.push(folder);
            node
        }
    }
}

impl Node {
    /// A broker with its data in `data`; the same `port` again lets clients of an earlier one go on.
    pub(crate) fn on_disk(data: &Path, port: Option<u16>) -> Node {
        Node::with_settings(data, port, &[])
    }

    /// The same with settings, each as `key=value`.
    pub(crate) fn with_settings(data: &Path, port: Option<u16>, settings: &[&str]) -> Node {
        let folder = tempfile::tempdir().unwrap();
        let listen = format!("127.0.0.1:{}", port.unwrap_or(0));
        let (ready, log) = (folder.path().join("ready"), folder.path().join("log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
        command
            .args(["--listen", &listen, "--data"])
            .arg(data)
            .arg("--ready-file")
            .arg(&ready);
        for setting in settings {
            command.args(["--set", setting]);
        }
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
            folders: vec![folder],
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.rsplit(':').next().unwrap().parse().unwrap()
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

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = i32::try_from(child.id())
                .ok()
                .and_then(Pid::from_raw)
                .unwrap();
            kill_process(pid, Signal::TERM).unwrap();
            let status = child.wait().unwrap();
            assert!(status.success(), "the broker ended with {status}");
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
