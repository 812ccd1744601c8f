//! Where settings come from, and which one counts: flag, `--set`, `--dev`, environment, file, default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::def::{Effect, Scope};
use super::error::ConfigError;
use super::flags::{self, FlagError, Flags};
use super::listeners::ListenersError;
use super::properties::{self, BadEscape};
use super::topic::parse;
use super::{Config, TopicConfig, environment, keys, listeners, suggest};

/// Everything that may set a key.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `--config`: the file's name and its text.
    pub file: Option<(PathBuf, String)>,
    /// The variables of the process.
    pub environment: Vec<(String, String)>,
    /// `--dev`.
    pub is_dev: bool,
    /// `--container`.
    pub is_container: bool,
    /// `--set`, each `key=value`.
    pub set: Vec<String>,
    /// The flags that stand for keys.
    pub flags: Flags,
}

/// A configuration, and what its owner should be told once there is a log.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub notices: Vec<Notice>,
}

/// One line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// As intended, but worth knowing.
    Info(String),
    /// Perhaps not as intended.
    Warning(String),
}

/// Where a setting stands; a later one counts before an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Container,
    File { path: String, line: usize },
    Variable(String),
    Dev,
    Set,
    Flag(&'static str),
}

impl Origin {
    fn rank(&self) -> u8 {
        match self {
            Origin::Container => 0,
            Origin::File { .. } => 1,
            Origin::Variable(_) => 2,
            Origin::Dev => 3,
            Origin::Set => 4,
            Origin::Flag(_) => 5,
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Container => f.write_str("--container"),
            Origin::File { path, line } => write!(f, "{path} line {line}"),
            Origin::Variable(name) => write!(f, "environment variable {name}"),
            Origin::Dev => f.write_str("--dev"),
            Origin::Set => f.write_str("--set"),
            Origin::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Why there is no configuration. The texts end with advice in a line of its own where there is any.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("{path}: {error}")]
    File { path: String, error: BadEscape },
    #[error("--set: cannot read `{text}`\nhint: write --set key=value")]
    NotAPair { text: String },
    #[error("{origin}: unknown key `{name}`{}", meant(.nearest))]
    Unknown {
        origin: Origin,
        name: String,
        nearest: Option<&'static str>,
    },
    #[error("{origin}: {error}")]
    Invalid { origin: Origin, error: ConfigError },
    #[error("{0}")]
    Flag(#[from] FlagError),
    #[error("{0}")]
    Listeners(#[from] ListenersError),
    #[error("{reason}\nhint: {hint}")]
    Contradiction { reason: String, hint: &'static str },
}

fn meant(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!("\nhint: did you mean `{name}`?"),
        None => "\nhint: docs/config.md lists every key".to_owned(),
    }
}

/// What `--dev` sets: nothing kept, any free port, no waiting for members that may never come.
const DEV: &[(&str, &str)] = &[
    ("ottla.store", "memory"),
    ("listeners", "PLAINTEXT://127.0.0.1:0"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.streams.initial.rebalance.delay.ms", "0"),
];

/// What `--container` sets, below everything else: every interface, and the folder that Kafka's image has for data.
/// The line is what Testcontainers waits for on stdout: in Java for the first half, in Rust for the second.
const CONTAINER: &[(&str, &str)] = &[
    ("listeners", "PLAINTEXT://:9092"),
    ("log.dirs", "/var/lib/kafka/data"),
    (
        "ottla.ready.line",
        "Transitioning from RECOVERY to RUNNING. Kafka Server started",
    ),
];

/// Keys of which one set in a higher place hides the others where they are set in a lower one.
const ALTERNATIVES: &[&[&str]] = &[
    &["node.id", "broker.id"],
    &["log.dirs", "log.dir"],
    &[
        "log.retention.ms",
        "log.retention.minutes",
        "log.retention.hours",
    ],
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["queued.max.request.bytes", "ottla.request.memory.bytes"],
];

/// Keys that older versions of Kafka knew and 4.3 no longer does: a file that has them still means something.
const RETIRED: &[&str] = &[
    "advertised.host.name",
    "advertised.port",
    "broker.id.generation.enable",
    "control.plane.listener.name",
    "host.name",
    "inter.broker.protocol.version",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.message.timestamp.difference.max.ms",
    "offsets.commit.required.acks",
    "password.encoder.secret",
    "port",
    "reserved.broker.max.id",
    "zookeeper.connect",
    "zookeeper.connection.timeout.ms",
    "zookeeper.session.timeout.ms",
    "zookeeper.set.acl",
];

/// How settings of Java plug-ins and of single listeners begin; the rest of the name is theirs.
const PREFIXES: &[&str] = &[
    "config.providers.",
    "listener.name.",
    "rlmm.config.",
    "rsm.config.",
];

#[derive(Default)]
struct Layers {
    config: Config,
    origins: BTreeMap<&'static str, Origin>,
    /// Retired keys and those of plug-ins, by what is said about them.
    retired: Vec<String>,
    foreign: Vec<String>,
}

impl Layers {
    /// Sets a key; called from the lowest place to the highest.
    fn put(&mut self, name: &str, text: &str, origin: Origin) -> Result<(), LoadError> {
        let (def, value) = match parse(Scope::Broker, name, text) {
            Ok(parsed) => parsed,
            Err(ConfigError::Unknown { .. }) if RETIRED.contains(&name) => {
                self.retired.push(name.to_owned());
                return Ok(());
            }
            Err(ConfigError::Unknown { .. }) if PREFIXES.iter().any(|p| name.starts_with(p)) => {
                self.foreign.push(name.to_owned());
                return Ok(());
            }
            Err(ConfigError::Unknown { name, .. }) => {
                let nearest = suggest::nearest(&name);
                return Err(LoadError::Unknown {
                    origin,
                    name,
                    nearest,
                });
            }
            Err(error) => return Err(LoadError::Invalid { origin, error }),
        };
        for group in ALTERNATIVES
            .iter()
            .filter(|group| group.contains(&def.name))
        {
            for other in group.iter().filter(|other| **other != def.name) {
                let lower = |set: &Origin| set.rank() < origin.rank();
                if self.origins.get(other).is_some_and(lower) {
                    self.config.set.remove(other);
                    self.origins.remove(other);
                }
            }
        }
        self.config.set.insert(def.name, value);
        self.origins.insert(def.name, origin);
        Ok(())
    }

    fn put_all(&mut self, inputs: Inputs) -> Result<Vec<String>, LoadError> {
        if inputs.is_container {
            for (key, value) in CONTAINER {
                self.put(key, value, Origin::Container)?;
            }
        }
        if let Some((path, text)) = inputs.file {
            let path = path.display().to_string();
            let entries = properties::parse(&text).map_err(|error| LoadError::File {
                path: path.clone(),
                error,
            })?;
            for entry in entries {
                let origin = Origin::File {
                    path: path.clone(),
                    line: entry.line,
                };
                self.put(&entry.key, &entry.value, origin)?;
            }
        }
        let environment = environment::read(inputs.environment);
        for (variable, key, value) in environment.settings {
            self.put(key, &value, Origin::Variable(variable))?;
        }
        if inputs.is_container {
            self.listen_where_advertised()?;
        }
        if inputs.is_dev {
            for (key, value) in DEV {
                self.put(key, value, Origin::Dev)?;
            }
        }
        for text in inputs.set {
            let Some((key, value)) = text.split_once('=') else {
                return Err(LoadError::NotAPair { text });
            };
            self.put(key.trim(), value, Origin::Set)?;
        }
        for (flag, key, value) in flags::settings(&inputs.flags, &self.config)? {
            self.put(key, &value, Origin::Flag(flag))?;
        }
        Ok(environment.ignored)
    }

    /// Where `advertised.listeners` is set and `listeners` is not, Kafka's image listens on the same names and ports,
    /// on every interface (`configure` in its `docker/resources/common-scripts`).
    fn listen_where_advertised(&mut self) -> Result<(), LoadError> {
        let origin = |name| self.origins.get(name).cloned();
        let Some(advertised) = origin(keys::ADVERTISED_LISTENERS.name()) else {
            return Ok(());
        };
        if origin(keys::LISTENERS.name()) != Some(Origin::Container) {
            return Ok(());
        }
        let addresses = self.config.get(keys::ADVERTISED_LISTENERS);
        let listeners: Vec<_> = addresses
            .iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .map(|text| listeners::on_every_interface(text))
            .collect();
        if listeners.is_empty() {
            return Ok(());
        }
        self.put(keys::LISTENERS.name(), &listeners.join(","), advertised)
    }

    /// `node.id` and `broker.id` are one number: the one that is set sets the other.
    fn settle_node_id(&mut self) -> Result<(), LoadError> {
        let [newer, older] = ["node.id", "broker.id"].map(|name| {
            let id = self.config.explicit(name)?.integer()?;
            (id >= 0).then(|| (id.to_string(), self.origins[name].clone()))
        });
        match (newer, older) {
            (None, None) => Ok(()),
            (Some((id, origin)), None) => self.put("broker.id", &id, origin),
            (None, Some((id, origin))) => self.put("node.id", &id, origin),
            (Some((newer, _)), Some((older, _))) if newer == older => Ok(()),
            (Some((newer, _)), Some((older, _))) => Err(LoadError::Contradiction {
                reason: format!("node.id is {newer} and broker.id is {older}"),
                hint: "set node.id only",
            }),
        }
    }
}

/// Reads all places, checks what they come to, and says what should be known about it.
pub fn load(inputs: Inputs) -> Result<Loaded, LoadError> {
    let mut layers = Layers::default();
    let ignored = layers.put_all(inputs)?;
    layers.settle_node_id()?;
    check(&layers.config)?;
    let controllers = layers.config.listeners()?.controller;
    let notices = notices(&layers, &ignored, &controllers);
    Ok(Loaded {
        config: layers.config,
        notices,
    })
}

/// What no single key's check can see.
fn check(config: &Config) -> Result<(), LoadError> {
    let contradiction = |reason: String, hint| LoadError::Contradiction { reason, hint };
    if !config
        .get(keys::PROCESS_ROLES)
        .iter()
        .any(|role| role == "broker")
    {
        return Err(contradiction(
            "process.roles has no broker in it".to_owned(),
            "a broker here needs no controller: leave that process out",
        ));
    }
    let folders = config
        .get(keys::LOG_DIRS)
        .unwrap_or(config.get(keys::LOG_DIR));
    if folders.len() != 1 || folders[0].is_empty() {
        return Err(contradiction(
            format!("log.dirs names {} folders", folders.len()),
            "everything is kept in one folder; name that one",
        ));
    }
    let retention_ms = TopicConfig::resolve(config, &BTreeMap::new())
        .map_err(|error| contradiction(error.to_string(), "change one of the two"))?
        .retention_ms;
    if retention_ms == 0 {
        return Err(contradiction(
            "log.retention.ms must be unlimited (-1) or, greater than or equal to 1".to_owned(),
            "-1 keeps records for ever",
        ));
    }
    let (queued, largest) = (
        config.get(keys::QUEUED_MAX_REQUEST_BYTES),
        i64::from(config.get(keys::SOCKET_REQUEST_MAX_BYTES)),
    );
    if queued > 0 && queued < largest {
        return Err(contradiction(
            format!(
                "queued.max.request.bytes ({queued}) is below socket.request.max.bytes ({largest})"
            ),
            "one request must fit: raise the first or lower the second",
        ));
    }
    Ok(())
}

fn notices(layers: &Layers, ignored: &[String], controllers: &[String]) -> Vec<Notice> {
    let with_effect = |effect| {
        let asked_for = layers
            .origins
            .iter()
            .filter(|(_, origin)| **origin != Origin::Dev);
        asked_for
            .map(|(name, _)| *name)
            .filter(|name| keys::find(Scope::Broker, name).is_some_and(|def| def.effect == effect))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut without_meaning = with_effect(Effect::WithoutMeaning);
    without_meaning.extend(with_effect(Effect::Internal));
    without_meaning.extend(layers.foreign.iter().cloned());
    let line = |text: &str, names: &[String]| {
        (!names.is_empty()).then(|| format!("{text}: {}", names.join(", ")))
    };
    // One voter is this broker itself; with more, a file or a compose project means one cluster of many.
    let voters: Vec<String> = layers.config.get(keys::CONTROLLER_QUORUM_VOTERS);
    let others = match voters.len() {
        0 | 1 => None,
        _ => line(
            "each Ottla is a cluster of its own, nothing is shared between these nodes",
            &voters,
        ),
    };
    let info = [
        line(
            "controller listeners are not opened, there is no controller here",
            controllers,
        ),
        line("accepted, without meaning here", &without_meaning),
        line("accepted, Kafka 4 has them no more", &layers.retired),
    ];
    let warnings = [
        others,
        line(
            "accepted, but what they govern is not there yet",
            &with_effect(Effect::Later),
        ),
        line("environment variables that are no keys, ignored", ignored),
    ];
    let info = info.into_iter().flatten().map(Notice::Info);
    info.chain(warnings.into_iter().flatten().map(Notice::Warning))
        .collect()
}
