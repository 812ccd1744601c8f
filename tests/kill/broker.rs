//! The real binary as a child process, and what it logs.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longer than any start takes.
const START_MAX: Duration = Duration::from_secs(20);

/// Work of the engine that a kill is to fall into, as its log tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Checkpoint,
    Snapshot,
    SegmentChange,
}

impl Moment {
    pub(crate) const ALL: [Self; 3] = [Self::Checkpoint, Self::Snapshot, Self::SegmentChange];

    fn word(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Snapshot => "snapshot",
            Self::SegmentChange => "segment change",
        }
    }
}

#[derive(Debug, Default)]
struct Log {
    lines: Vec<String>,
    begun: [u64; 3],
    done: [u64; 3],
}

#[derive(Debug, Default)]
struct SharedLog {
    log: Mutex<Log>,
    changed: Condvar,
}

impl SharedLog {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no reader of the log panics")
    }

    fn add(&self, line: String) {
        let mut log = self.lock();
        for (index, moment) in Moment::ALL.into_iter().enumerate() {
            log.begun[index] += u64::from(line.contains(&format!("{} begins", moment.word())));
            log.done[index] += u64::from(line.contains(&format!("{} done", moment.word())));
        }
        log.lines.push(line);
        self.changed.notify_all();
    }
}

/// A running broker.
#[derive(Debug)]
pub(crate) struct Broker {
    child: Child,
    log: Arc<SharedLog>,
    reader: Option<JoinHandle<()>>,
    pub(crate) address: SocketAddr,
}

impl Broker {
    /// Starts the binary with sizes so small that everything turns over all the time.
    pub(crate) fn start(folder: &Path, durability: &str) -> Result<Self, String> {
        let ready = folder.join("ready");
        let _ = std::fs::remove_file(&ready);
        let settings = [
            "ottla.journal.segment.bytes=1048576",
            "ottla.checkpoint.journal.bytes=1048576",
            "ottla.checkpoint.overlay.bytes=65536",
            "ottla.snapshot.bytes=65536",
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
        command
            .args(["--listen", "127.0.0.1:0", "--durability", durability])
            .args(["--log", "info,ottla::store=debug", "--data"])
            .arg(folder.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let log = Arc::new(SharedLog::default());
        let lines = BufReader::new(child.stderr.take().ok_or("no standard error")?).lines();
        let sink = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| sink.add(line));
        });
        let mut broker = Self {
            child,
            log,
            reader: Some(reader),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        broker.address = broker.wait_until_ready(&ready)?;
        Ok(broker)
    }

    fn wait_until_ready(&mut self, ready: &Path) -> Result<SocketAddr, String> {
        let begun = Instant::now();
        while begun.elapsed() < START_MAX {
            let text = std::fs::read_to_string(ready).unwrap_or_default();
            if let Some(address) = text.split_whitespace().find_map(|word| word.parse().ok()) {
                return Ok(address);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                self.finish();
                return Err(format!("the broker ended: {status}\n{}", self.log()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(format!(
            "the broker is not ready after {START_MAX:?}\n{}",
            self.log()
        ))
    }

    /// Waits until the engine begins something, for a while.
    pub(crate) fn wait_for(&self, moment: Moment, longest: Duration) {
        let index = moment as usize;
        let deadline = Instant::now() + longest;
        let mut log = self.log.lock();
        let before = log.begun[index];
        while log.begun[index] == before {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.log.changed.wait_timeout(log, left);
            log = waited.expect("no reader of the log panics").0;
        }
    }

    /// `kill -9`; the moments that were begun and not done.
    pub(crate) fn kill(mut self) -> Vec<Moment> {
        self.finish();
        let log = self.log.lock();
        let open = |moment: &Moment| log.begun[*moment as usize] > log.done[*moment as usize];
        Moment::ALL.into_iter().filter(open).collect()
    }

    fn finish(&mut self) {
        // A child that has ended already is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }

    /// The end of what it logged.
    pub(crate) fn log(&self) -> String {
        let log = self.log.lock();
        let from = log.lines.len().saturating_sub(60);
        log.lines[from..].join("\n")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.finish();
    }
}
