//! docs/metrics.md, written from the table so that it cannot differ from it.

use std::fmt::Write;

use super::table::TABLE;

const HEAD: &str = "\
# Metrics

`ottla --metrics 127.0.0.1:9404` serves these at `/metrics` as Prometheus reads them; `/live` answers 200 as long as the
process does, `/ready` answers 200 once requests of Kafka clients are answered and 503 before and while it stops. This
page is generated from the table in `src/metrics/table.rs`; `OTTLA_BLESS=1 cargo test --lib document` writes it anew.

Histograms by `api` appear with the first request of that API. Metrics by partition are left out where the page would
outgrow 4 MiB, some ten thousand partitions; `ottla_partitions_left_out` says how many. `process_*` are read from
`/proc` and are there on Linux only.

| metric | type | unit | labels | what it says |
| --- | --- | --- | --- | --- |
";

/// The text of docs/metrics.md.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for def in TABLE {
        let labels: Vec<_> = def
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            def.name,
            def.kind.name(),
            def.unit(),
            labels.join(", "),
            def.help
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_documentation_is_what_the_table_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        if std::env::var_os("OTTLA_BLESS").is_some() {
            std::fs::write(&path, super::markdown()).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == super::markdown(),
            "docs/metrics.md is not what the table says: OTTLA_BLESS=1 cargo test --lib document"
        );
    }
}
