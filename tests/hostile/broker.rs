//! The real binary as a child process in a cage: little address space, little memory where the system can say so.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How much memory a broker is held in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cage {
    /// `ulimit -v`, KiB. Reserved memory counts although nobody touches it, so this is larger than the next.
    address_space_kib: u64,
    /// Its cgroup, bytes: what it may use at the worst moment, page cache and the buffers of sockets among it.
    cgroup_bytes: u64,
}

impl Cage {
    /// For who is attacked with budgets made small.
    pub(crate) const SMALL: Self = Self {
        address_space_kib: 2 * 1024 * 1024,
        cgroup_bytes: 512 * 1024 * 1024,
    };

    /// For who is measured: more than is allowed, so that too much is seen and not killed.
    pub(crate) const ROOMY: Self = Self {
        address_space_kib: 8 * 1024 * 1024,
        cgroup_bytes: 4 * 1024 * 1024 * 1024,
    };
}

/// Longer than any start or stop takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a broker may take to stop, whoever is connected: it gives its connections 150 ms, and this is a debug
/// build on a busy machine.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A running broker.
#[derive(Debug)]
pub(crate) struct Broker {
    child: Child,
    log: PathBuf,
    cage: Cage,
    cgroup: Option<Cgroup>,
    memory: Memory,
    pub(crate) address: SocketAddr,
}

impl Broker {
    /// Starts the binary on a folder with these settings. `number` tells the lives of a folder apart.
    pub(crate) fn start(
        folder: &Path,
        number: u32,
        settings: &[&str],
        cage: Cage,
    ) -> Result<Self, String> {
        let ready = folder.join("ready");
        let log = folder.join(format!("log-{number}"));
        let file = File::create(&log).map_err(|error| error.to_string())?;
        let cgroup = Cgroup::new(cage.cgroup_bytes);
        let enter = cgroup.as_ref().map_or_else(String::new, |cgroup| {
            format!("echo $$ > '{}/cgroup.procs' && ", cgroup.path.display())
        });
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!(
                "{enter}ulimit -v {} && exec \"$0\" \"$@\"",
                cage.address_space_kib
            ))
            .arg(env!("CARGO_BIN_EXE_ottla"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(folder.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .args(["--log", "info,ottla::server=debug"])
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let address = wait_until_ready(&mut child, &ready).map_err(|problem| {
            format!(
                "{problem}\n{}",
                fs::read_to_string(&log).unwrap_or_default()
            )
        })?;
        Ok(Self {
            memory: Memory::watch(child.id()),
            child,
            log,
            cage,
            cgroup,
            address,
        })
    }

    /// In words: what holds it.
    pub(crate) fn cage(&self) -> String {
        let cgroup = match self.cgroup {
            Some(_) => format!("a cgroup of {} MiB", self.cage.cgroup_bytes >> 20),
            None => "no cgroup: this system lets us make none".to_owned(),
        };
        format!(
            "ulimit -v {} MiB, {cgroup}",
            self.cage.address_space_kib >> 10
        )
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// An error if it has ended, or a thread of it has panicked.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("the broker ended: {status}"));
        }
        let log = self.log();
        let bad = |line: &&str| line.contains("panicked") || line.contains("a defect in");
        match log.lines().find(bad) {
            Some(line) => Err(format!("the broker panicked: {line}")),
            None => Ok(()),
        }
    }

    /// Resident memory: now, and the most since [`Broker::forget_peak`], bytes.
    pub(crate) fn memory(&self) -> (u64, u64) {
        (
            resident(self.child.id()),
            self.memory.peak.load(Ordering::Relaxed),
        )
    }

    /// Begins a new peak.
    pub(crate) fn forget_peak(&self) {
        self.memory.peak.store(0, Ordering::Relaxed);
    }

    /// Stops it with SIGTERM; an error if it does not stop in time and well.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let begun = Instant::now();
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or("no process id")?, Signal::TERM).map_err(|e| e.to_string())?;
        while begun.elapsed() < PATIENCE {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            match ended {
                None => std::thread::sleep(Duration::from_millis(5)),
                Some(status) if !status.success() => {
                    return Err(format!("it stopped with {status}\n{}", self.log()));
                }
                Some(_) if begun.elapsed() > STOP_MAX => {
                    return Err(format!("it took {:?} to stop", begun.elapsed()));
                }
                Some(_) => return Ok(()),
            }
        }
        Err(format!("it does not stop\n{}", self.log()))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // A child that has ended already is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until_ready(child: &mut Child, ready: &Path) -> Result<SocketAddr, String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let text = fs::read_to_string(ready).unwrap_or_default();
        if let Some(address) = text.split_whitespace().find_map(|word| word.parse().ok()) {
            return Ok(address);
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("the broker ended: {status}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(format!("the broker is not ready after {PATIENCE:?}"))
}

/// Watches a process's resident memory.
#[derive(Debug)]
struct Memory {
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

impl Memory {
    fn watch(pid: u32) -> Self {
        let (peak, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (to, end) = (Arc::clone(&peak), Arc::clone(&stop));
        let watcher = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                to.fetch_max(resident(pid), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self {
            peak,
            stop,
            watcher: Some(watcher),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}

/// Resident memory of a process, bytes; 0 once it has ended.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// A memory cgroup of our own; removed when dropped.
#[derive(Debug)]
struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// `None` where the system has none, or lets us make none.
    fn new(bytes: u64) -> Option<Self> {
        let name = format!("ottla-hostile-{}-{bytes}", std::process::id());
        let versions = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ];
        versions.into_iter().find_map(|(root, limit)| {
            let path = Path::new(root).join(&name);
            if !Path::new(root).join("cgroup.procs").exists() {
                return None;
            }
            fs::create_dir(&path).ok()?;
            let cgroup = Self { path };
            let set = fs::write(cgroup.path.join(limit), bytes.to_string());
            set.is_ok().then_some(cgroup)
        })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // It stays where a process is still in it; the next one has another name.
        let _ = fs::remove_dir(&self.path);
    }
}
