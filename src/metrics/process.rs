//! `process_*`: what the operating system says of this process, under the names that Prometheus' clients use.

use std::fs;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, Timespec, clock_gettime};

use super::page::Page;
use super::table;

/// Adds the metrics of this process to a page; those that the operating system does not tell are left out.
pub fn process(page: &mut Page, started_seconds: f64) {
    page.single(&table::PROCESS_START_TIME, started_seconds);
    page.single(
        &table::PROCESS_CPU,
        seconds(clock_gettime(ClockId::ProcessCPUTime)),
    );
    if let Some(max) = getrlimit(Resource::Nofile).current {
        page.single(&table::PROCESS_MAX_FDS, max);
    }
    // The folder that is being read is one of them.
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        page.single(&table::PROCESS_OPEN_FDS, open.count().saturating_sub(1));
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (field, def, unit) in [
        ("VmRSS:", &table::PROCESS_RESIDENT, 1024),
        ("VmSize:", &table::PROCESS_VIRTUAL, 1024),
        ("Threads:", &table::PROCESS_THREADS, 1),
    ] {
        if let Some(value) = status_field(&status, field) {
            page.single(def, value * unit);
        }
    }
}

/// A number in /proc/PID/status, in the unit that it has there.
fn status_field(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of the CPU time of centuries are of no interest"
)]
fn seconds(time: Timespec) -> f64 {
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_status_is_found_by_its_name() {
        let status = "Name:\tottla\nVmRSS:\t    9216 kB\nThreads:\t5\n";
        assert_eq!(status_field(status, "VmRSS:"), Some(9216));
        assert_eq!(status_field(status, "Threads:"), Some(5));
        assert_eq!(status_field(status, "VmSize:"), None);
    }
}
