//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::flags::Flags;
use super::load::Inputs;

/// The arguments, as typed.
#[derive(Clone, Debug, Parser)]
#[command(name = "ottla", version, about = ABOUT, after_help = AFTER_HELP, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do; `None` is to be a broker.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Address to listen on, again or comma separated for more; port 0 is any free port [default: 127.0.0.1:9092]
    #[arg(
        long,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        help_heading = "Network"
    )]
    listen: Vec<String>,

    /// Address that clients are told to use, one for each --listen [default: the one that they came in on]
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        value_delimiter = ',',
        help_heading = "Network"
    )]
    advertise: Vec<String>,

    /// Number of this broker, written into a new data folder [default: 1]
    #[arg(long, value_name = "NUMBER", help_heading = "Network")]
    node_id: Option<String>,

    /// Data folder; a broker makes it if it does not exist [default: ottla-data]
    #[arg(long, value_name = "FOLDER", help_heading = "Data", global = true)]
    data: Option<String>,

    /// When a write is acknowledged: `fsync` once it is on the disk, `os` once the operating system has it (faster
    /// on small writes; a power cut may lose the last moments) [default: fsync]
    #[arg(long, value_name = "fsync|os", help_heading = "Data")]
    durability: Option<String>,

    /// Where data is kept: `local`, in the data folder; `memory`, gone when the broker stops [default: local]
    #[arg(long, value_name = "local|memory", help_heading = "Data")]
    store: Option<String>,

    /// Partitions of topics that are created without a count [default: 1]
    #[arg(long, value_name = "COUNT", help_heading = "Data")]
    partitions: Option<String>,

    /// For development and tests: keeps nothing, any free port, no delays. Other flags and --set count before it
    #[arg(long, help_heading = "Settings")]
    dev: bool,

    /// As in Kafka's container image: listens on every interface, keeps data in /var/lib/kafka/data, reads
    /// /mnt/shared/config/server.properties. Everything else that is set counts before it
    #[arg(long, help_heading = "Settings", global = true)]
    container: bool,

    /// File with Kafka's keys; its own server.properties will do
    #[arg(
        short,
        long,
        value_name = "FILE",
        help_heading = "Settings",
        global = true
    )]
    config: Option<PathBuf>,

    /// One of Kafka's keys, or of Ottla's own; can be given again
    #[arg(
        short,
        long,
        value_name = "KEY=VALUE",
        help_heading = "Settings",
        global = true
    )]
    set: Vec<String>,

    /// What goes to the log on stderr: error, warn, info, debug, trace, or module=level, comma separated [default:
    /// info]
    #[arg(
        long,
        value_name = "FILTER",
        help_heading = "Watching it",
        global = true
    )]
    log: Option<String>,

    /// Form of the log's lines [default: text]
    #[arg(
        long,
        value_name = "text|json",
        help_heading = "Watching it",
        global = true
    )]
    log_format: Option<String>,

    /// Address of /metrics for Prometheus, and of /ready and /live for probes [default: none]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Watching it")]
    metrics: Option<String>,

    /// File to write the addresses into, one in a line, once requests are answered; it goes when the broker stops
    #[arg(long, value_name = "FILE", help_heading = "Watching it")]
    ready_file: Option<String>,

    /// Prints what bounds the broker's memory, with these settings, and ends
    #[arg(long, help_heading = "Watching it")]
    pub print_budgets: bool,
}

/// What the binary does beside serving. A command takes its flags behind its name, the general ones too.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Works on the data folder of a broker that does not run
    #[command(subcommand, after_help = STORAGE_AFTER_HELP)]
    Storage(StorageCommand),
    /// Asks a broker whether it answers: one line, and exit code 0 or 1 after at most three seconds
    #[command(after_help = HEALTH_AFTER_HELP)]
    Health {
        /// Address of the broker [default: the first listener of these settings]
        #[arg(value_name = "HOST:PORT")]
        address: Option<String>,
    },
}

/// What can be done with a data folder.
#[derive(Clone, Debug, Subcommand)]
pub enum StorageCommand {
    /// Prints segments, frames, rows, runs and batches
    Dump(DumpFilter),
    /// Reads everything again and tells what is not as it was written
    Verify,
    /// Makes the row cache (sled) anew from the row snapshot and the journal, whatever state it is in
    Rebuild,
}

/// What a dump shows: all, or some.
#[derive(Clone, Debug, Args)]
pub struct DumpFilter {
    /// Only the logs of this topic
    #[arg(long, value_name = "NAME", conflicts_with = "segment")]
    pub topic: Option<String>,

    /// Only this partition of each topic
    #[arg(long, value_name = "INDEX", requires = "topic")]
    pub partition: Option<usize>,

    /// Only the frames of this segment, by its generation
    #[arg(long, value_name = "GENERATION")]
    pub segment: Option<u64>,

    /// Only runs from this offset on
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    pub from_offset: i64,

    /// Frames of a segment and batches of a log, at most
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub limit: usize,
}

const HEALTH_AFTER_HELP: &str = "\
Healthy is a broker that says which requests it knows and who is in its cluster.
Any Kafka broker can be asked, on a listener without TLS and SASL.

Exit codes:
  0  healthy                  2  a flag or setting is wrong
  1  not healthy
";

const STORAGE_AFTER_HELP: &str = "\
The folder is the one that a broker with the same settings would use; a folder
in which a broker runs is refused. docs/storage.md draws what is in it.

Exit codes:
  0  done, and sound          4  cannot use the data folder
  1  failed while at it       5  verify found damage
  2  a flag or setting is wrong
";

/// Where Kafka's container image looks for a file that was mounted into it.
const MOUNTED: &str = "/mnt/shared/config/server.properties";

const ABOUT: &str = "\
A Kafka broker in one small binary. Kafka's clients and command-line tools work with it unchanged.

Without arguments it listens on 127.0.0.1:9092 and keeps its data in ./ottla-data. Once it answers requests it \
prints one line that says where. It stops on SIGTERM and SIGINT, and everything acknowledged is kept.";

const AFTER_HELP: &str = "\
Examples:
  ottla                                    on 127.0.0.1:9092, data in ./ottla-data
  ottla --dev --ready-file /tmp/ready      a broker for one test run
  ottla storage rebuild                    a new row cache for ./ottla-data
  ottla --listen 0.0.0.0:9092 --advertise broker.example.org
  ottla --config server.properties --set log.retention.ms=3600000
  KAFKA_NUM_PARTITIONS=6 ottla

A setting is taken from the first of these that has it:
  flag, --set, --dev, environment, file of --config, --container, default
In the environment num.partitions is KAFKA_NUM_PARTITIONS, as in Kafka's
container image. docs/config.md lists every key.

Exit codes:
  0  stopped as asked         3  cannot listen
  1  failed while running     4  cannot use the data folder
  2  a flag or setting is wrong
";

impl Arguments {
    /// The arguments of this process. Prints help, version or what is wrong, and exits, where that is asked for.
    pub fn of_process() -> Arguments {
        Arguments::parse()
    }

    /// All that may set a key. Reads the file of `--config`; the error says why it cannot.
    pub fn into_inputs(self, environment: Vec<(String, String)>) -> Result<Inputs, UnreadableFile> {
        let mounted = || {
            let path = self.container.then(|| PathBuf::from(MOUNTED));
            path.filter(|path| path.exists())
        };
        let file = match self.config.or_else(mounted) {
            None => None,
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => Some((path, text)),
                Err(cause) => return Err(UnreadableFile { path, cause }),
            },
        };
        Ok(Inputs {
            file,
            environment,
            is_dev: self.dev,
            is_container: self.container,
            set: self.set,
            flags: Flags {
                listen: self.listen,
                advertise: self.advertise,
                data: self.data,
                node_id: self.node_id,
                partitions: self.partitions,
                durability: self.durability,
                store: self.store,
                log: self.log,
                log_format: self.log_format,
                metrics: self.metrics,
                ready_file: self.ready_file,
            },
        })
    }
}

/// The file of `--config` cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("--config: cannot read {}: {cause}\nhint: name a file with `key=value` lines", .path.display())]
pub struct UnreadableFile {
    path: PathBuf,
    cause: std::io::Error,
}
