//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

/// One line each: CPU, memory, kernel, file system, versions.
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) rustc: String,
    pub(crate) commit: String,
    pub(crate) date: String,
}

const UNKNOWN: &str = "unknown";

impl Machine {
    pub(crate) fn look(folder: &Path) -> Machine {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let model = field("/proc/cpuinfo", "model name");
        let kib: u64 = field("/proc/meminfo", "MemTotal")
            .trim_end_matches(" kB")
            .parse()
            .unwrap_or(0);
        Machine {
            cpu: format!("{model}, {cores} cores"),
            memory: format!("{} GB", kib / 1_000_000),
            kernel: output("uname", &["-sr"]),
            file_system: file_system(folder),
            rustc: output("rustc", &["--version"]),
            commit: output("git", &["describe", "--always", "--dirty"]),
            date: output("date", &["-u", "+%Y-%m-%d"]),
        }
    }
}

/// The first `name: value` of a file in /proc.
fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line
        .and_then(|line| line.split_once(':'))
        .map(|(_, value)| value.trim());
    value.unwrap_or(UNKNOWN).to_owned()
}

pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output
        .ok()
        .filter(|output| output.status.success())
        .map(|output| output.stdout);
    let text = text
        .and_then(|text| String::from_utf8(text).ok())
        .unwrap_or_default();
    text.lines().next().unwrap_or(UNKNOWN).trim().to_owned()
}

/// The type and the device of the mount that holds `folder`.
fn file_system(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mut best: Option<(usize, String)> = None;
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        let (Some(device), Some(point), Some(kind)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let depth = Path::new(point).components().count();
        if folder.starts_with(point) && best.as_ref().is_none_or(|(other, _)| depth >= *other) {
            best = Some((depth, format!("{kind} on {device}")));
        }
    }
    best.map_or_else(|| UNKNOWN.to_owned(), |(_, text)| text)
}
