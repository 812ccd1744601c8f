//! Keys from the environment, named as Kafka's container image names them.

use super::def::Scope;
use super::keys;

/// What the variables of a process have to say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    /// Variable, key, value.
    pub(super) settings: Vec<(String, &'static str, String)>,
    /// Variables that look like settings and are not: Kubernetes and JVM images put such there.
    pub(super) ignored: Vec<String>,
}

/// Sorts variables into settings and look-alikes; all others are none of our business.
pub(super) fn read(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
    let mut environment = Environment::default();
    for (variable, value) in variables {
        let key = if variable == "CLUSTER_ID" {
            "ottla.cluster.id".to_owned()
        } else if let Some(rest) = variable.strip_prefix("KAFKA_") {
            key_of(rest)
        } else if variable.starts_with("OTTLA_") {
            key_of(&variable)
        } else {
            continue;
        };
        match keys::find(Scope::Broker, &key) {
            Some(def) => environment.settings.push((variable, def.name, value)),
            None => environment.ignored.push(variable),
        }
    }
    environment.settings.sort();
    environment.ignored.sort();
    environment
}

/// `_` stands for a dot, `__` for an underscore, `___` for a dash.
fn key_of(name: &str) -> String {
    name.to_lowercase()
        .replace("___", "-")
        .replace("__", "\0")
        .replace('_', ".")
        .replace('\0', "_")
}

#[cfg(test)]
mod tests {
    use super::{key_of, read};

    #[test]
    fn names_are_mapped_as_the_container_image_does() {
        for (name, key) in [
            ("LOG_RETENTION_MS", "log.retention.ms"),
            ("A__B", "a_b"),
            ("A___B", "a-b"),
            (
                "LISTENER_NAME_INTERNAL_SSL_KEY_PASSWORD",
                "listener.name.internal.ssl.key.password",
            ),
            ("OTTLA_DURABILITY", "ottla.durability"),
        ] {
            assert_eq!(key_of(name), key);
        }
    }

    #[test]
    fn settings_and_look_alikes_are_told_apart() {
        let variables = [
            ("KAFKA_LOG_RETENTION_MS", "5"),
            ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
            ("KAFKA_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
            ("KAFKA_HEAP_OPTS", "-Xmx1g"),
            ("KAFKA_LOG4J_OPTS", ""),
            ("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw"),
            ("OTTLA_DURABILITY", "os"),
            ("KAFKA_OTTLA_STORE", "memory"),
            ("PATH", "/bin"),
            ("KAFKAESQUE", "1"),
        ];
        let read = read(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let keys: Vec<_> = read.settings.iter().map(|(_, key, _)| *key).collect();
        assert_eq!(
            keys,
            [
                "ottla.cluster.id",
                "log.retention.ms",
                "ottla.store",
                "ottla.durability"
            ]
        );
        assert_eq!(
            read.ignored,
            [
                "KAFKA_HEAP_OPTS",
                "KAFKA_LOG4J_OPTS",
                "KAFKA_PORT",
                "KAFKA_PORT_9092_TCP"
            ]
        );
    }
}
