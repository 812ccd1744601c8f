//! The disk's own limits: one writer, each write followed by a sync of its data.

use std::fs::{File, OpenOptions, remove_file};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{Arguments, Failure, Measures, float, percentile_ms};

const ALIGNMENT: usize = 4096;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// One size is written for as long as this, or until there is this much of it.
const BYTES_MAX: u64 = 512 << 20;

/// How a file is written, and what the measures are called: latency of 4 KiB and 64 KiB, speed of 1 MiB and 4 MiB.
struct Way {
    direct: bool,
    /// Written once before, so that all blocks are there.
    again: bool,
    names: [&'static str; 4],
}

const WAYS: [Way; 3] = [
    Way {
        direct: false,
        again: false,
        names: [
            "buffered_4k_ms",
            "buffered_64k_ms",
            "buffered_1m_mb_s",
            "buffered_4m_mb_s",
        ],
    },
    Way {
        direct: true,
        again: false,
        names: [
            "direct_4k_ms",
            "direct_64k_ms",
            "direct_1m_mb_s",
            "direct_4m_mb_s",
        ],
    },
    Way {
        direct: true,
        again: true,
        names: [
            "again_4k_ms",
            "again_64k_ms",
            "again_1m_mb_s",
            "again_4m_mb_s",
        ],
    },
];

pub(crate) fn limits(arguments: &Arguments) -> Result<Measures, Failure> {
    let folder = PathBuf::from(arguments.get::<String>("folder")?);
    let each = Duration::from_secs_f64(arguments.get_or("seconds", 0.5)?);
    let path = folder.join("disk");
    let mut measures = Vec::new();
    for way in &WAYS {
        for (name, size) in way.names.into_iter().zip([4 * KIB, 64 * KIB, MIB, 4 * MIB]) {
            let file = open(&path, way.direct)?;
            let (mut took, mut written) = write(&file, size, each, BYTES_MAX)?;
            if way.again {
                (took, written) = write(&file, size, each, written)?;
            }
            let seconds = float(took.iter().sum()) / 1e9;
            took.sort_unstable();
            let latency = size < MIB;
            let value = if latency {
                percentile_ms(&took, 0.5)
            } else {
                float(written) / 1e6 / seconds
            };
            measures.push((name, value));
            remove_file(&path)?;
        }
    }
    Ok(measures)
}

fn open(path: &Path, direct: bool) -> Result<File, Failure> {
    let flags = if direct {
        rustix::fs::OFlags::DIRECT
    } else {
        rustix::fs::OFlags::empty()
    };
    Ok(OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .custom_flags(i32::try_from(flags.bits())?)
        .open(path)?)
}

/// Writes from the start of the file on, and from its start again at `extent`. Returns the time that each write and
/// its sync took, in ns, and the bytes written.
fn write(
    file: &File,
    size: usize,
    each: Duration,
    extent: u64,
) -> Result<(Vec<u64>, u64), Failure> {
    let mut memory = vec![7u8; size + ALIGNMENT];
    let aligned = memory.as_ptr().align_offset(ALIGNMENT);
    let buffer = &mut memory[aligned..aligned + size];
    let (mut took, mut written) = (Vec::new(), 0u64);
    let started = Instant::now();
    while started.elapsed() < each && written < BYTES_MAX {
        let begun = Instant::now();
        file.write_all_at(buffer, written % extent)?;
        file.sync_data()?;
        took.push(u64::try_from(begun.elapsed().as_nanos())?);
        written += u64::try_from(size)?;
    }
    Ok((took, written))
}
