//! From the call that starts a process to its first answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Arguments, Failure, Measures};

/// ApiVersions version 0 with correlation id 7 and no client id, length first.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
const START_MAX: Duration = Duration::from_secs(120);
const STOP_MAX: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_micros(200);

/// Whether a connection is taken and ApiVersions answered without an error.
fn answers(address: &str) -> bool {
    let ask = || -> std::io::Result<[u8; 10]> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(&API_VERSIONS)?;
        let mut start = [0; 10];
        stream.read_exact(&mut start)?;
        Ok(start)
    };
    // Length, correlation id, error code.
    ask().is_ok_and(|start| start[4..] == [0, 0, 0, 7, 0, 0])
}

pub(crate) fn start(arguments: &Arguments, program: &[String]) -> Result<Measures, Failure> {
    let address: String = arguments.get("address")?;
    let (name, rest) = program
        .split_first()
        .ok_or("start needs -- PROGRAM ARGUMENT...")?;
    let mut command = Command::new(name);
    command
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn()?;
    while !answers(&address) {
        if let Some(status) = child.try_wait()? {
            return Err(format!("{name} ended with {status}").into());
        }
        if started.elapsed() > START_MAX {
            child.kill()?;
            return Err(format!("{name} does not answer").into());
        }
        sleep(PAUSE);
    }
    let took = started.elapsed();
    let pid = Pid::from_raw(i32::try_from(child.id())?).ok_or("process 0")?;
    kill_process(pid, Signal::TERM)?;
    let asked = Instant::now();
    while child.try_wait()?.is_none() {
        if asked.elapsed() > STOP_MAX {
            child.kill()?;
        }
        sleep(PAUSE);
    }
    Ok(vec![
        ("ms", took.as_secs_f64() * 1e3),
        ("stop_ms", asked.elapsed().as_secs_f64() * 1e3),
    ])
}
