//! The binary as a person or a script meets it: what it prints, which files it leaves, how it ends.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::clients::create;

/// The binary with these arguments, and none of this process's settings.
fn ottla(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    for (name, _) in std::env::vars_os() {
        let is_setting = |name: &str| name.starts_with("KAFKA_") || name.starts_with("OTTLA_");
        if name.to_str().is_some_and(is_setting) {
            command.env_remove(name);
        }
    }
    command.args(arguments).env_remove("CLUSTER_ID");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A broker that has printed its ready line.
struct Running {
    child: Child,
    ready_line: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = ottla(arguments).spawn().expect("the binary starts");
        let mut ready_line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        stdout.read_line(&mut ready_line).expect("it is read");
        let running = Self { child, ready_line };
        if running.ready_line.is_empty() {
            panic!("not ready: {}", running.ended().1);
        }
        running
    }

    /// Where it listens, as the ready line says.
    fn address(&self) -> String {
        let (_, rest) = self.ready_line.split_once(" on ").expect("an address");
        rest.split(',').next().expect("an address").to_owned()
    }

    fn stop(self, signal: Signal) -> (ExitStatus, String) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("it is there");
        self.ended()
    }

    fn ended(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().expect("it is piped");
        stderr.read_to_string(&mut log).expect("it is read");
        (self.child.wait().expect("it ends"), log)
    }
}

/// How a process ends that does not serve: exit code and what it says.
fn failure(arguments: &[&str]) -> (Option<i32>, String) {
    let output = ottla(arguments).output().expect("the binary starts");
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(output.stdout.is_empty(), "nothing is ready");
    (output.status.code(), text)
}

fn path_in<'a>(folder: &'a TempDir, name: &str, keep: &'a mut String) -> &'a str {
    *keep = folder.path().join(name).display().to_string();
    keep
}

#[test]
fn one_line_says_that_it_is_ready_and_a_file_says_where() {
    let folder = TempDir::new().expect("a folder");
    let (mut data, mut ready) = (String::new(), String::new());
    let data = path_in(&folder, "data", &mut data);
    let ready = path_in(&folder, "ready", &mut ready);
    fs::write(ready, "of an earlier run").expect("it is written");
    let running = Running::start(&[
        "--listen",
        "127.0.0.1:0",
        "--data",
        data,
        "--ready-file",
        ready,
    ]);
    let address = running.address();
    assert_eq!(
        running.ready_line,
        format!(
            "ottla {} is ready on {address}, data in {data}, durability fsync\n",
            env!("CARGO_PKG_VERSION")
        )
    );
    // Whoever has read the line finds the file.
    let line = format!("{address}\n");
    assert_eq!(fs::read_to_string(ready).expect("a ready file"), line);
    let mut client = TcpStream::connect(address).expect("it listens");
    let (status, log) = running.stop(Signal::TERM);
    assert!(status.success(), "{log}");
    assert!(!Path::new(ready).exists());
    assert_eq!(client.read(&mut [0; 1]).expect("closed, not cut"), 0);
}

#[test]
fn sigint_stops_it_and_dev_keeps_nothing() {
    let folder = TempDir::new().expect("a folder");
    let mut command = Running::start(&["--dev"]);
    assert!(command.ready_line.ends_with(", data in memory only\n"));
    assert!(command.child.try_wait().expect("it runs").is_none());
    let (status, log) = command.stop(Signal::INT);
    assert!(status.success(), "{log}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn a_wrong_setting_ends_with_2_and_advice() {
    let (code, text) = failure(&["--set", "num.partition=3"]);
    assert_eq!(code, Some(2));
    assert_eq!(
        text,
        "error: --set: unknown key `num.partition`\nhint: did you mean `num.partitions`?\n"
    );
    assert_eq!(failure(&["--no-such-flag"]).0, Some(2));
    let (code, text) = failure(&["--config", "/no/such/file"]);
    assert_eq!(code, Some(2));
    assert!(
        text.contains("/no/such/file") && text.contains("\nhint: "),
        "{text}"
    );
    let (code, text) = failure(&["--dev", "--log", "ottla=loud"]);
    assert_eq!(code, Some(2));
    assert!(
        text.contains("`ottla=loud`") && text.contains("\nhint: "),
        "{text}"
    );
    let (code, text) = failure(&["--dev", "--ready-file", "/no/such/folder/ready"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("/no/such/folder/ready"), "{text}");
}

#[test]
fn a_port_in_use_ends_with_3_and_advice() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let (code, text) = failure(&["--store", "memory", "--listen", &address]);
    assert_eq!(code, Some(3));
    assert!(
        text.contains(&format!("`{address}` is in use\nhint: ")),
        "{text}"
    );
}

#[test]
fn a_data_folder_that_cannot_be_used_ends_with_4_and_advice() {
    let folder = TempDir::new().expect("a folder");
    let mut data = String::new();
    let data = path_in(&folder, "data", &mut data);
    let arguments = ["--listen", "127.0.0.1:0", "--data", data];
    let running = Running::start(&arguments);
    let (code, text) = failure(&arguments);
    assert_eq!(code, Some(4));
    assert!(
        text.contains(data) && text.contains("in use by another process"),
        "{text}"
    );
    running.stop(Signal::TERM);

    let (code, text) = failure(&[&arguments[..], &["--node-id", "7"]].concat());
    assert_eq!(code, Some(4));
    assert!(text.contains("node 1, not 7"), "{text}");

    let mut file = String::new();
    let file = path_in(&folder, "file", &mut file);
    fs::write(file, "").expect("it is written");
    let (code, text) = failure(&["--listen", "127.0.0.1:0", "--data", file]);
    assert_eq!(code, Some(4));
    assert!(text.contains(file), "{text}");
}

#[test]
fn listening_for_everyone_is_warned_of_once() {
    let running = Running::start(&["--dev", "--listen", "0.0.0.0:0"]);
    let (_, log) = running.stop(Signal::TERM);
    assert_eq!(log.matches("WARN").count(), 1, "{log}");
    assert!(log.contains("TLS and SASL are not there yet"), "{log}");
}

/// A command on a data folder: exit code, what it prints, what it says of a failure.
fn storage(data: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let all = [&["storage"], arguments, &["--data", data]].concat();
    let output = ottla(&all).output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn storage_commands_want_a_folder_that_no_broker_uses() {
    let folder = TempDir::new().expect("a folder");
    let mut data = String::new();
    let data = path_in(&folder, "data", &mut data);
    let commands: [&[&str]; 3] = [&["rebuild"], &["dump"], &["verify"]];
    for command in commands {
        let (code, _, text) = storage(data, command);
        assert_eq!(code, Some(4), "{text}");
        assert!(text.contains("no data folder at"), "{text}");
        assert!(!Path::new(data).exists(), "it was made");
    }
    let running = Running::start(&["--listen", "127.0.0.1:0", "--data", data]);
    create(&running.address(), "topic", 1, &[]).expect("created");
    for command in commands {
        let (code, _, text) = storage(data, command);
        assert_eq!(code, Some(4), "{text}");
        assert!(text.contains("in use by another process"), "{text}");
    }
    running.stop(Signal::TERM);
    for command in commands {
        let (code, _, text) = storage(data, command);
        assert_eq!(code, Some(0), "{text}");
    }
    // A byte of the first frame's rows: the segment's header is a block of its own.
    let segment = Path::new(data).join("journal-0000000000000001.seg");
    let mut bytes = fs::read(&segment).expect("it is read");
    bytes[4096 + 200] ^= 1;
    fs::write(&segment, bytes).expect("it is written");
    let (code, out, text) = storage(data, &["verify"]);
    assert_eq!(code, Some(5), "{out}{text}");
    assert!(out.contains("(generation 1), byte 4096"), "{out}");
    assert_eq!(storage(data, &["mend"]).0, Some(2));
    let (code, text) = failure(&["--data", data, "storage", "rebuild"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("cannot be used with"), "{text}");
}

#[test]
fn a_row_cache_is_made_anew() {
    let folder = TempDir::new().expect("a folder");
    let mut data = String::new();
    let data = path_in(&folder, "data", &mut data);
    let arguments = ["--listen", "127.0.0.1:0", "--data", data];
    let running = Running::start(&arguments);
    // Two rows: the topic, and the next partition's number.
    create(&running.address(), "topic", 1, &[]).expect("created");
    running.stop(Signal::TERM);
    let (code, out, log) = storage(data, &["rebuild", "--log", "error"]);
    assert_eq!((code, log.as_str()), (Some(0), ""));
    assert!(
        out.starts_with(&format!(
            "row cache of {data} made anew: 2 rows, as of frame "
        )),
        "{out}"
    );
    let (status, log) = Running::start(&arguments).stop(Signal::TERM);
    assert!(status.success() && log.contains("believed"), "{log}");
}

/// How `ottla health` ends: exit code, stdout, stderr.
fn health(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = ottla(&[&["health"], arguments].concat())
        .output()
        .expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn health_says_in_one_line_whether_a_broker_answers() {
    let running = Running::start(&["--dev"]);
    let address = running.address();
    let (code, line, log) = health(&[&address]);
    assert_eq!((code, log.as_str()), (Some(0), ""));
    let start = format!("{address} is healthy: ");
    assert!(line.starts_with(&start), "{line}");
    assert!(line.contains(" APIs, 1 broker in cluster ") && line.lines().count() == 1);

    // Without an address it asks the broker that the same settings would start.
    let listeners = format!("listeners=PLAINTEXT://{address}");
    assert_eq!(health(&["--set", &listeners]).1, line);
    running.stop(Signal::TERM);

    let (code, line, log) = health(&[&address]);
    assert_eq!((code, line.as_str()), (Some(1), ""));
    let start = format!("error: {address} is not healthy: ");
    assert!(log.starts_with(&start) && log.lines().count() == 1, "{log}");
    let (code, _, log) = health(&["--set", "listeners=PLAINTEXT://:0"]);
    assert_eq!(code, Some(2));
    assert!(log.contains("ottla health HOST:PORT"), "{log}");
    let (code, _, log) = health(&["9092"]);
    assert_eq!(code, Some(2));
    assert!(log.contains("`9092`\nhint: "), "{log}");
}

#[test]
fn health_is_not_fooled_by_what_is_no_broker() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"",
        b"\0\0\0\x06\0\0\0\x09\0\0",
    ] {
        let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = other.local_addr().expect("an address").to_string();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = other.accept().expect("a connection");
            stream.read_exact(&mut [0; 14]).expect("a request");
            stream.write_all(answer).expect("it is read");
        });
        let (code, line, log) = health(&[&address]);
        assert_eq!((code, line.as_str()), (Some(1), ""), "{log}");
        assert!(log.contains("is not healthy: "), "{log}");
        answering.join().expect("it has answered");
    }
}
