//! The brokers that take part: how each is started, looked at and stopped. All listen on loopback only.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Failure, PARTITIONS, Setup, client};

/// Linux counts CPU time for user space in hundredths of a second, on every machine.
const TICKS_PER_SECOND: f64 = 100.0;
const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ottla,
    /// As it comes: acknowledges once the page cache has the records.
    Kafka,
    /// With a sync for each message set, so that what is acknowledged is on disk.
    KafkaSync,
    Floor,
}

impl Kind {
    pub(crate) fn parse(name: &str) -> Result<Kind, Failure> {
        let all = [Kind::Ottla, Kind::Kafka, Kind::KafkaSync, Kind::Floor];
        let found = all.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("no broker {name}: ottla, kafka, kafka-sync or floor").into())
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ottla => "ottla",
            Kind::Kafka => "kafka",
            Kind::KafkaSync => "kafka-sync",
            Kind::Floor => "floor",
        }
    }

    pub(crate) fn serves_reads(self) -> bool {
        self != Kind::Floor
    }

    /// A JVM goes on loading and compiling for a while after its first answer.
    pub(crate) fn settles_slowly(self) -> bool {
        matches!(self, Kind::Kafka | Kind::KafkaSync)
    }
}

/// A broker with a fresh folder of its own, which goes away with it.
pub(crate) struct Running {
    child: Child,
    folder: PathBuf,
    pub(crate) address: String,
    /// From the call that started the process to its first answer to ApiVersions.
    pub(crate) start_ms: f64,
}

impl Running {
    pub(crate) fn start(setup: &Setup, kind: Kind) -> Result<Running, Failure> {
        let folder = setup.folder.join(kind.name());
        remove(&folder)?;
        fs::create_dir_all(&folder)?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = match kind {
            Kind::Ottla => ottla(setup, &folder, &address),
            Kind::Floor => floor(setup, &folder, &address),
            Kind::Kafka | Kind::KafkaSync => kafka(setup, kind, &folder, &address)?,
        };
        let log = fs::File::create(setup.folder.join(format!("{}.log", kind.name())))?;
        command
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null());
        let started = Instant::now();
        let child = command
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let mut broker = Running {
            child,
            folder,
            address,
            start_ms: 0.0,
        };
        while !client::answers(&broker.address) {
            if let Some(status) = broker.child.try_wait()? {
                return Err(format!("{} ended with {status}: see its log", kind.name()).into());
            }
            if started.elapsed() > START_MAX {
                return Err(format!("{} does not answer: see its log", kind.name()).into());
            }
            sleep(Duration::from_micros(200));
        }
        broker.start_ms = started.elapsed().as_secs_f64() * 1000.0;
        Ok(broker)
    }

    /// User and system time of the whole process so far.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may hold blanks; what follows it does not. utime and stime are fields 14 and 15.
        let (_, after_name) = stat.rsplit_once(") ").ok_or("a stat line without a name")?;
        let mut fields = after_name.split(' ').skip(11);
        let mut ticks =
            || -> Result<f64, Failure> { Ok(fields.next().ok_or("a short stat line")?.parse()?) };
        Ok((ticks()? + ticks()?) / TICKS_PER_SECOND)
    }

    /// Resident memory in MB of 1e6 bytes.
    pub(crate) fn resident_mb(&self) -> Result<f64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line
            .ok_or("no VmRSS")?
            .trim()
            .trim_end_matches(" kB")
            .parse()?;
        Ok(kib * 1024.0 / 1e6)
    }

    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).ok_or("process 0")?;
        kill_process(pid, Signal::TERM)?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > STOP_MAX {
                self.child.kill()?;
            }
            sleep(Duration::from_millis(5));
        }
        remove(&self.folder)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After stop() the process is gone and both calls fail; after an error this is the last chance.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn remove(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn ottla(setup: &Setup, folder: &Path, address: &str) -> Command {
    let mut command = Command::new(&setup.ottla);
    command.args(["--listen", address, "--durability", &setup.durability]);
    command.arg("--partitions").arg(PARTITIONS.to_string());
    command.arg("--data").arg(folder.join("data"));
    command
}

fn floor(setup: &Setup, folder: &Path, address: &str) -> Command {
    let mut command = Command::new(&setup.floor);
    command
        .arg(address)
        .arg(folder.join("file"))
        .arg(PARTITIONS.to_string());
    command
}

/// One node that is broker and controller, with a freshly formatted folder, and the heap and collector that its own
/// start script gives it.
fn kafka(setup: &Setup, kind: Kind, folder: &Path, address: &str) -> Result<Command, Failure> {
    let jars = setup.jars.as_ref().ok_or("kafka needs --jars")?;
    let controller = format!("127.0.0.1:{}", free_port()?);
    let logs = folder.join("logs");
    let mut properties = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@{controller}\n\
         listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
         advertised.listeners=PLAINTEXT://{address}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\n\
         num.partitions={PARTITIONS}\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n",
        logs.display()
    );
    if kind == Kind::KafkaSync {
        properties.push_str("log.flush.interval.messages=1\n");
    }
    let config = folder.join("server.properties");
    fs::write(&config, properties)?;
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let logging = format!(
        "-Dlog4j2.configurationFile={}",
        project.join("compat/java/log4j2.yaml").display()
    );
    let java = || {
        let mut command = Command::new("java");
        command.args([
            "-Xms1g",
            "-Xmx1g",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
        ]);
        command.arg(&logging).arg("-cp").arg(jars.join("*"));
        command
    };
    let id = java()
        .args(["kafka.tools.StorageTool", "random-uuid"])
        .output()?;
    let id = String::from_utf8(id.stdout)?;
    let format = java()
        .args(["kafka.tools.StorageTool", "format", "-t", id.trim(), "-c"])
        .arg(&config)
        .output()?;
    if !format.status.success() {
        return Err(format!(
            "kafka could not format its folder: {}",
            String::from_utf8_lossy(&format.stderr)
        )
        .into());
    }
    let mut command = java();
    command.arg("kafka.Kafka").arg(&config);
    Ok(command)
}
