//! The style rules that a test can hold.
//!
//! Each rule is a function from sources to complaints, and each has a test that feeds it a bad sample: a rule that
//! can't complain holds nothing. Complaints name the file, the line and what to do about it.

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/text.rs"]
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use rules::Source;

/// Folders and files whose text is checked; all but Rust are checked for marks and paths only.
const ROOTS: &[&str] = &[
    "src",
    "tests",
    "benches",
    "fuzz",
    "compat",
    "container",
    "scripts",
    "docs",
    ".ci",
    ".github",
    "Cargo.toml",
    "Dockerfile",
    "deny.toml",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "clippy.toml",
];

fn collect(path: &Path, root: &Path, into: &mut Vec<Source>) {
    if path.is_dir() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // What was built, what was fetched, and what a fuzzer wrote.
        if ["target", "node_modules", "corpus", "artifacts"].contains(&&*name) {
            return;
        }
        let mut entries: Vec<PathBuf> = fs::read_dir(path)
            .expect("a folder of the project can be read")
            .map(|entry| entry.expect("an entry of it too").path())
            .collect();
        entries.sort();
        entries.iter().for_each(|entry| collect(entry, root, into));
    } else if let Ok(text) = fs::read_to_string(path) {
        let relative = path
            .strip_prefix(root)
            .expect("it was found under the root");
        into.push(Source {
            path: relative.to_string_lossy().replace('\\', "/"),
            text,
        });
    }
}

fn project() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for name in ROOTS {
        collect(&root.join(name), root, &mut sources);
    }
    sources
}

type Rule<'a> = &'a dyn Fn(&Source, &mut Vec<String>);

#[track_caller]
fn hold(rule: Rule<'_>) {
    let mut complaints = Vec::new();
    let sources = project();
    assert!(
        sources.iter().any(|s| s.path == "src/lib.rs"),
        "the project's files were not found"
    );
    sources
        .iter()
        .for_each(|source| rule(source, &mut complaints));
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Runs a rule on one sample and returns how often it complained.
fn complaints(rule: Rule<'_>, path: &str, text: &str) -> usize {
    let mut complaints = Vec::new();
    let source = Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    rule(&source, &mut complaints);
    complaints.len()
}

#[test]
fn imports_point_one_way() {
    hold(&rules::import_edges);
    let check = |path, text| complaints(&rules::import_edges, path, text);
    assert_eq!(check("src/log/a.rs", "use crate::broker::Broker;"), 1);
    assert_eq!(
        check("src/log/a.rs", "use crate::{api::X, base::{Y, Z}, server};"),
        2
    );
    assert_eq!(check("src/log/a.rs", "fn f() { crate::api::table(); }"), 1);
    assert_eq!(check("src/main.rs", "use ottla::store::local;"), 1);
    assert_eq!(check("src/brandnew/mod.rs", ""), 1);
    assert_eq!(check("src/log/a.rs", "use super::super::api;"), 1);
    assert_eq!(check("src/log/mod.rs", "use super::api;"), 1);
    assert_eq!(check("src/log/a.rs", "use super::b;"), 0);
    assert_eq!(
        check(
            "src/log/a.rs",
            "use crate::{base::Y, log::b};\n// crate::api"
        ),
        0
    );
}

#[test]
fn only_the_local_store_names_sled() {
    hold(&rules::sled_stays_home);
    let check = |path| complaints(&rules::sled_stays_home, path, "use sled::Db; // sled");
    assert_eq!(check("src/broker/mod.rs"), 1);
    assert_eq!(check("src/store/memory.rs"), 1);
    assert_eq!(check("src/store/local/rows.rs"), 0);
}

#[test]
fn lines_of_handlers_name_the_client() {
    hold(&rules::handlers_name_the_client);
    let text = "fn f() { tracing::info!(x); }";
    let check = |path| complaints(&rules::handlers_name_the_client, path, text);
    assert_eq!(check("src/api/fetch.rs"), 1);
    assert_eq!(check("src/api/call.rs"), 0);
    assert_eq!(check("src/broker/trim.rs"), 0);
}

#[test]
fn pure_cores_are_pure() {
    hold(&rules::cores_are_pure);
    let check = |text| complaints(&rules::cores_are_pure, "src/log/a.rs", text);
    assert_eq!(check("use tokio::sync::Mutex;"), 1);
    assert_eq!(check("let now = SystemTime::now();"), 1);
    assert_eq!(check("use std::time::Duration;"), 1);
    assert_eq!(check("use std::fs::File;"), 1);
    assert_eq!(check("fn f(e: kafka_protocol::ResponseError) {}"), 1);
    assert_eq!(check("#[cfg(test)]\nmod tests { use tokio::x; }"), 0);
    assert_eq!(check("#[cfg(test)]\nmod tests;\nuse tokio::x;"), 1);
    assert_eq!(check("let tokio_like = \"tokio\"; // tokio"), 0);
    let outside = complaints(&rules::cores_are_pure, "src/broker/a.rs", "use tokio::x;");
    assert_eq!(outside, 0);
}

#[test]
fn files_say_what_they_are() {
    hold(&rules::header);
    assert_eq!(complaints(&rules::header, "src/a.rs", "use std::fs;"), 1);
    assert_eq!(complaints(&rules::header, "src/a.rs", "//! A."), 0);
}

#[test]
fn files_and_functions_are_short() {
    hold(&rules::file_length);
    hold(&rules::function_length);
    let file = complaints(
        &rules::file_length,
        "src/a.rs",
        &"\n".repeat(rules::FILE_LINES_MAX + 1),
    );
    assert_eq!(file, 1);
    let function = |lines: usize| {
        let text = format!(
            "fn a(b: [u8; 2]) -> char {{{}'}}' }}",
            "\n".repeat(lines - 1)
        );
        complaints(&rules::function_length, "src/a.rs", &text)
    };
    assert_eq!(function(rules::FUNCTION_LINES_MAX), 0);
    assert_eq!(function(rules::FUNCTION_LINES_MAX + 1), 1);
}

#[test]
fn nothing_is_unfinished() {
    hold(&rules::unfinished);
    let check = |text: &str| complaints(&rules::unfinished, "src/a.rs", text);
    assert_eq!(check(concat!("fn f() { to", "do!() }")), 1);
    assert_eq!(check(concat!("#[ig", "nore = \"slow\"]")), 1);
    assert_eq!(check(concat!("// TO", "DO later")), 1);
    assert_eq!(check("fn f() { do_it() }"), 0);
}

#[test]
fn no_machine_is_named() {
    hold(&rules::foreign_places);
    let check = |text: &str| complaints(&rules::foreign_places, "scripts/x", text);
    assert_eq!(check(concat!("cd /ro", "ot/ottla")), 1);
    assert_eq!(check("cd \"$(dirname \"$0\")/..\""), 0);
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let check: &dyn Fn(&Source, &mut Vec<String>) =
        &|source, into| rules::links_lead_somewhere(root, source, into);
    hold(check);
    let check_text = |text: &str| complaints(check, "docs/a.md", text);
    assert_eq!(check_text("[gone](not-there.md#part)"), 1);
    assert_eq!(
        check_text("[up](../README.md#part) [out](https://example.org) [in](#part)"),
        0
    );
}

#[test]
fn comments_and_literals_are_not_code() {
    let code = |text: &str| text::code_only(text).split_whitespace().collect::<String>();
    assert_eq!(code("a /* b */ c // d"), "ac");
    assert_eq!(code(r##"a "b \" c" r#"d " e"# f"##), "af");
    assert_eq!(code("'{' b'}' '\\'' 'é' <'a>"), "b<'a>");
    assert_eq!(text::code_only("é\n\"ü\""), "é\n    ");
}
