//! docs/config.md, written from the table so that it cannot differ from it.

use std::fmt::Write;

use super::def::{Check, Def, Effect, Literal, Scope, Synonym, Update};
use super::keys;

const HEAD: &str = "\
# Settings

Every key that Ottla knows. It is generated from the table in `src/config/keys/`; `OTTLA_BLESS=1 cargo test --lib
document` writes it anew.

A setting is taken from the first of these that has it:

1. a flag (`ottla --help` lists them),
2. `--set key=value`,
3. `--dev`, a few settings for development and tests,
4. the environment: `KAFKA_NUM_PARTITIONS` is `num.partitions`; `_` stands for a dot, `__` for an underscore, `___` for
   a dash. `OTTLA_DURABILITY` is `ottla.durability`, and `CLUSTER_ID` is `ottla.cluster.id`,
5. the file of `--config`, in Java's properties syntax; Kafka's own `server.properties` will do,
6. `--container`, the few settings of Kafka's container image ([container.md](container.md)),
7. the default.

Where several keys set one thing (`log.retention.ms`, `log.retention.minutes` and `log.retention.hours`; `node.id` and
`broker.id`; `log.dirs` and `log.dir`) the one in the higher place counts, and within one place the one named first here.

An unknown key in the file or in `--set` is an error that names the nearest known key. In the environment it is a
warning: `KAFKA_PORT` and `KAFKA_HEAP_OPTS` come from others.

Names, types, defaults and bounds are those of Kafka 4.3.1, but for `group.initial.rebalance.delay.ms`: a group of one
should not wait. What a key does here:

- **yes**: what Kafka does.
- **later**: the value is checked, kept and described, and has no effect in this version. The log says so.
- **no**: accepted, because what it governs does not exist here. The log says so in one line.

How a key changes while the broker runs, by AlterConfigs (`kafka-configs --alter`):

- **any time**: for a broker, or for all of them (`--entity-default`), which those follow that set no value of their own.
- **per broker**: for a broker by its id.
- **per listener**: for a broker by its id, as `listener.name.NAME.KEY`.
- **restart**: not at all.

What is changed so counts before all places above, is stored with the data, and survives restarts.

A topic that does not set a key takes the broker's value of the key named beside it, else the default.
";

/// The text of docs/config.md.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for chapter in keys::chapters() {
        let _ = write!(
            text,
            "\n## {}\n\n| key | type | default | allowed | effect | changes | what it says |\n| --- | --- | --- | --- | --- | --- | --- |\n",
            chapter.title
        );
        for def in chapter
            .keys
            .iter()
            .filter(|def| def.effect != Effect::Internal)
        {
            let _ = writeln!(text, "{}", row(def));
        }
    }
    text
}

fn row(def: &Def) -> String {
    let kind = def.value_type.name().to_lowercase();
    let kind = match def.unit() {
        "" => kind,
        unit => format!("{kind}, {unit}"),
    };
    let effect = match def.effect {
        Effect::Honoured => "yes",
        Effect::Later => "later",
        Effect::WithoutMeaning | Effect::Internal => "no",
    };
    let synonyms: Vec<_> = def.synonyms.iter().map(synonym).collect();
    let inherited = match synonyms.as_slice() {
        [] => String::new(),
        names => format!(" Broker: {}.", names.join(", ")),
    };
    format!(
        "| `{}` | {kind} | {} | {} | {effect} | {} | {}{inherited} |",
        def.name,
        default(def),
        allowed(def.check),
        changes(def),
        def.text,
    )
}

/// How the key changes while the broker runs.
fn changes(def: &Def) -> &'static str {
    match (def.scope, def.update) {
        (Scope::Topic | Scope::Group | Scope::ClientMetrics, _) => "any time",
        (Scope::Broker, Update::ReadOnly) => "restart",
        (Scope::Broker, Update::PerListener) => "per listener",
        (Scope::Broker, Update::PerBroker) => "per broker",
        (Scope::Broker, Update::ClusterWide) => "any time",
    }
}

fn synonym(synonym: &Synonym) -> String {
    format!("`{}`", synonym.name)
}

fn default(def: &Def) -> String {
    match def.default {
        Literal::Null => "none".to_owned(),
        Literal::Text("") => "empty".to_owned(),
        Literal::Long(i64::MAX) | Literal::Int(i32::MAX) | Literal::Double(f64::MAX) => {
            "no limit".to_owned()
        }
        Literal::Boolean(_)
        | Literal::Int(_)
        | Literal::Short(_)
        | Literal::Long(_)
        | Literal::Double(_)
        | Literal::Text(_) => def
            .default_value()
            .shown()
            .map_or_else(String::new, |value| format!("`{value}`")),
    }
}

fn allowed(check: Check) -> String {
    let names = |items: &[&str]| {
        items
            .iter()
            .map(|item| format!("`{item}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match check {
        Check::Any => String::new(),
        Check::AtLeast(min) => format!("{min} or more"),
        Check::Between(min, max) => format!("{min} to {max}"),
        Check::Ratio(min, max) => format!("{min} to {max}"),
        Check::LevelOrDefault(min, max) => format!("-1, {min} to {max}"),
        Check::OneOf(items) => names(items),
        Check::OneOfIgnoringCase(items) => format!("{}, in any case", names(items)),
        Check::EachOf(items) => format!("any of {}", names(items)),
        Check::NotEmpty => "not empty".to_owned(),
        Check::AddressCounts => "`address:count`".to_owned(),
        Check::ThrottledReplicas => "`partition:broker`, or `*`".to_owned(),
        Check::AutoOffsetReset => "`latest`, `earliest`, `by_duration:PnDTnHnMn.nS`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_documentation_is_what_the_table_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
        if std::env::var_os("OTTLA_BLESS").is_some() {
            std::fs::write(&path, super::markdown()).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == super::markdown(),
            "docs/config.md is not what the table says: OTTLA_BLESS=1 cargo test --lib document"
        );
    }
}
