//! The rules: each looks at one source and adds its complaints.

use std::path::Path;

use crate::text::{block_end, code_only, line_of, path_heads, without_test_modules, words};

pub(crate) const FILE_LINES_MAX: usize = 500;
pub(crate) const FUNCTION_LINES_MAX: usize = 70;

/// The allowed edges: each top-level module with the modules that it may import. A module that is not listed here is
/// a complaint of its own, so that a new one is placed by decision.
const EDGES: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("protocol", &["base"]),
    ("config", &["base"]),
    ("metrics", &[]),
    ("store", &["base", "protocol", "config", "metrics"]),
    ("log", &["base", "protocol", "config", "store"]),
    ("cluster", &["base", "protocol", "config", "store"]),
    ("group", &["base", "protocol", "config", "store"]),
    (
        "broker",
        &[
            "base", "protocol", "config", "metrics", "store", "log", "cluster", "group",
        ],
    ),
    (
        "api",
        &[
            "base", "protocol", "config", "metrics", "store", "log", "cluster", "group", "broker",
        ],
    ),
    (
        "server",
        &[
            "base", "protocol", "config", "metrics", "store", "log", "cluster", "group", "broker",
            "api",
        ],
    ),
    // The tools read a folder that no broker uses: they need what knows the bytes, and nothing that runs.
    (
        "tools",
        &["base", "protocol", "config", "store", "log", "cluster"],
    ),
    // The binary: arguments, configuration, the command.
    ("main", &["base", "config", "server", "tools"]),
    // The library's root only declares modules.
    ("lib", &[]),
];

/// Modules that decide and do nothing else.
const PURE_CORES: &[&str] = &["log", "cluster", "group"];

/// What a pure core must not name, and why.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "a pure core has no tasks and waits for nothing"),
    (
        "SystemTime",
        "a pure core reads no clock: take the time as an argument",
    ),
    (
        "Instant",
        "a pure core reads no clock: take the time as an argument",
    ),
    (
        "kafka_protocol",
        "only src/api knows request versions and generated messages",
    ),
    (
        "std::time",
        "a pure core reads no clock: take milliseconds as an argument",
    ),
    ("std::fs", "a pure core does no I/O"),
    ("std::net", "a pure core does no I/O"),
    ("std::thread", "a pure core has no threads"),
];

/// A text file of the project. `path` is relative to the project's folder, with forward slashes.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The top-level module of a file under src: `log` for both src/log.rs and src/log/rows.rs.
    pub(crate) fn module(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?;
        Some(rest.split('/').next()?.trim_end_matches(".rs"))
    }
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

/// Rule: imports between top-level modules follow [`EDGES`].
pub(crate) fn import_edges(source: &Source, complaints: &mut Vec<String>) {
    let Some(module) = source.module() else {
        return;
    };
    let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == module) else {
        complaints.push(format!(
            "{}: module `{module}` has no row in EDGES of tests/tidy.rs: decide what it may import and add it",
            source.path
        ));
        return;
    };
    let code = code_only(&source.text);
    for at in escapes(&source.path, &code) {
        complaints.push(format!(
            "{}:{}: `super` reaches the crate's root: say `crate::`, so that the import can be checked",
            source.path,
            line_of(&code, at)
        ));
    }
    let root = if module == "main" { "ottla" } else { "crate" };
    for at in words(&code, root) {
        let Some(rest) = code[at + root.len()..].strip_prefix("::") else {
            continue;
        };
        for target in path_heads(rest) {
            if target != module && !allowed.contains(&target) {
                complaints.push(format!(
                    "{}:{}: `{module}` may not import `{target}` (it may: {}): imports point one way, see EDGES",
                    source.path,
                    line_of(&code, at),
                    allowed.join(", ")
                ));
            }
        }
    }
}

/// Where a chain of `super::` climbs out of the top-level module. Test modules are one deeper and not looked at.
fn escapes(path: &str, code: &str) -> Vec<usize> {
    let levels = path.matches('/').count() - usize::from(path.ends_with("/mod.rs"));
    let code = without_test_modules(code);
    let chain = "super::".repeat(levels.max(1));
    let starts = code.match_indices(&chain).map(|(at, _)| at);
    starts.filter(|_| levels > 0).collect()
}

/// Rule: a line of the log that a handler writes names the connection, the client and the API.
pub(crate) fn handlers_name_the_client(source: &Source, complaints: &mut Vec<String>) {
    if !source.path.starts_with("src/api/") || source.path == "src/api/call.rs" {
        return;
    }
    let code = code_only(&source.text);
    for at in words(&code, "tracing") {
        complaints.push(format!(
            "{}:{}: a handler's line names who asked: write it with `log_call!`",
            source.path,
            line_of(&code, at)
        ));
    }
}

/// Rule: only src/store/local names sled.
pub(crate) fn sled_stays_home(source: &Source, complaints: &mut Vec<String>) {
    if source.module().is_none() || source.path.starts_with("src/store/local/") {
        return;
    }
    let code = code_only(&source.text);
    for at in words(&code, "sled") {
        complaints.push(format!(
            "{}:{}: only src/store/local names sled: go through the store's traits",
            source.path,
            line_of(&code, at)
        ));
    }
}

/// Rule: pure cores do no I/O, wait for nothing and read no clock. Their tests may.
pub(crate) fn cores_are_pure(source: &Source, complaints: &mut Vec<String>) {
    if !source.module().is_some_and(|m| PURE_CORES.contains(&m)) || is_test_file(&source.path) {
        return;
    }
    let code = without_test_modules(&code_only(&source.text));
    for (name, why) in IMPURE {
        for at in words(&code, name) {
            complaints.push(format!(
                "{}:{}: `{name}`: {why}",
                source.path,
                line_of(&code, at)
            ));
        }
    }
}

/// Rule: each Rust file begins by saying what it is.
pub(crate) fn header(source: &Source, complaints: &mut Vec<String>) {
    if source.is_rust() && !source.text.starts_with("//!") {
        complaints.push(format!(
            "{}:1: begin the file with a `//!` line that says what it is",
            source.path
        ));
    }
}

/// Rule: files of a size that can be read in one go.
pub(crate) fn file_length(source: &Source, complaints: &mut Vec<String>) {
    let lines = source.text.lines().count();
    if source.is_rust() && lines > FILE_LINES_MAX {
        complaints.push(format!(
            "{}: {lines} lines, {FILE_LINES_MAX} are allowed: split it by idea",
            source.path
        ));
    }
}

/// Rule: functions of a size that can be seen at once.
pub(crate) fn function_length(source: &Source, complaints: &mut Vec<String>) {
    if !source.is_rust() {
        return;
    }
    let code = code_only(&source.text);
    for at in words(&code, "fn") {
        // A `;` before the body means a declaration; one inside brackets belongs to an array type.
        let mut nesting = 0i32;
        let body = code[at..].bytes().position(|byte| {
            nesting +=
                i32::from(matches!(byte, b'(' | b'[')) - i32::from(matches!(byte, b')' | b']'));
            byte == b'{' || (byte == b';' && nesting == 0)
        });
        let Some(open) = body.map(|n| at + n).filter(|n| code.as_bytes()[*n] == b'{') else {
            continue;
        };
        let (first, last) = (
            line_of(&code, at),
            line_of(&code, block_end(&code, open) - 1),
        );
        let lines = last - first + 1;
        if lines > FUNCTION_LINES_MAX {
            complaints.push(format!(
                "{}:{first}: a function of {lines} lines, {FUNCTION_LINES_MAX} are allowed: give its parts names",
                source.path
            ));
        }
    }
}

/// Rule: nothing unfinished and no test that is not run. The marks are put together here so that this file passes.
pub(crate) fn unfinished(source: &Source, complaints: &mut Vec<String>) {
    let marks = [
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("X", "XX"),
        concat!("#[ig", "nore"),
    ];
    for mark in marks {
        for (at, _) in source.text.match_indices(mark) {
            complaints.push(format!(
                "{}:{}: `{mark}`: finish it, or leave it out and say so in the docs",
                source.path,
                line_of(&source.text, at)
            ));
        }
    }
}

/// Rule: nothing that exists on one person's machine only, and no registry host: ordinary clients know their own.
pub(crate) fn foreign_places(source: &Source, complaints: &mut Vec<String>) {
    let places = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("index.cra", "tes.io"),
        concat!("static.cra", "tes.io"),
        concat!("maven.org", "/"),
        concat!("repo.maven", ".apache"),
        concat!("deb.deb", "ian.org"),
        concat!("pypi", ".org"),
    ];
    for place in places {
        for (at, _) in source.text.match_indices(place) {
            complaints.push(format!(
                "{}:{}: `{place}`: name no machine's own paths and no registry",
                source.path,
                line_of(&source.text, at)
            ));
        }
    }
}

/// Rule: a link within the project leads to a file that is there. `root` is the project's folder.
pub(crate) fn links_lead_somewhere(root: &Path, source: &Source, complaints: &mut Vec<String>) {
    if !source.path.ends_with(".md") {
        return;
    }
    let folder = root.join(&source.path);
    let folder = folder.parent().unwrap_or(root);
    for (at, mark) in source.text.match_indices("](") {
        let rest = &source.text[at + mark.len()..];
        let target = rest.split([')', '#', ' ']).next().unwrap_or_default();
        let elsewhere = target.is_empty() || target.contains("://");
        if !elsewhere && !folder.join(target).exists() {
            complaints.push(format!(
                "{}:{}: the link leads to {target}, which is not there",
                source.path,
                line_of(&source.text, at)
            ));
        }
    }
}
