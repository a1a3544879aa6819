//! House rules that rustfmt and clippy cannot express, checked by `cargo test`.
//!
//! The order of `mod` lines in `src/lib.rs` is the law: a file may name only files above it.

use std::fs;
use std::path::Path;

/// Files before this one are pure.
const FIRST_IMPURE: &str = "typed";
const IMPURE: &[&str] =
    &["tokio", "sled", "async ", "std::fs", "std::net::Tcp", "std::env", "::now(", "tracing::"];
/// Where each outside crate may be named.
const HOMES: &[(&str, &[&str])] = &[
    ("sled::", &["store::"]),
    ("mail_send::", &["net::smtp"]),
    ("hickory_resolver::", &["net::mx"]),
    ("governor::", &["net::throttle", "net::http"]),
    ("whatlang::", &["letter::speech", "inbound::tongue"]),
    ("minijinja::", &["letter::template"]),
    ("mail_builder::", &["letter::compose"]),
    ("mail_parser::", &["inbound::mail", "cli::stage"]),
    ("regex_lite::", &["feedback::keyword", "rulefile"]),
    ("calamine::", &["cadence::sheet"]),
    ("zip::", &["cadence::sheet"]),
    ("encoding_rs::", &["cadence::decode"]),
    ("psl::", &["book::company"]),
    ("roaring::", &["book::set"]),
    (
        "serde::",
        &["cadence::json", "letter::template", "range", "typed", "rulefile", "control", "cli::"],
    ),
    ("clap::", &["cli::"]),
    (
        "tokio::",
        &["net::", "socket", "ways", "postbox", "office", "press", "ears", "daemon", "cli::"],
    ),
];
const LINES_MAX: usize = 500;

#[test]
fn files_look_only_upwards() {
    let order = reading_order();
    let mut faults = Vec::new();
    for (here, module) in order.iter().enumerate() {
        for (n, line) in code(&source(module)) {
            if line.contains("super::") {
                faults.push(format!("{module}:{n} say crate::, not super::"));
            }
            for named in named(line, &order) {
                match named {
                    None => faults.push(format!("{module}:{n} spell out {}", line.trim())),
                    Some(there) if there > here => {
                        faults.push(format!("{module}:{n} looks down at {}", order[there]));
                    }
                    Some(_) => (),
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_pure_part_is_pure() {
    let order = reading_order();
    let pure = order.iter().take_while(|m| *m != FIRST_IMPURE);
    let mut faults = Vec::new();
    for module in pure {
        for (n, line) in code(&source(module)) {
            faults.extend(
                IMPURE.iter().filter(|w| line.contains(**w)).map(|w| format!("{module}:{n} {w}")),
            );
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn outside_crates_stay_at_home() {
    let mut faults = Vec::new();
    for module in reading_order() {
        for (n, line) in code(&source(&module)) {
            for (name, homes) in HOMES {
                if line.contains(name) && !homes.iter().any(|home| module.starts_with(home)) {
                    faults.push(format!("{module}:{n} {name} lives in {homes:?}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for module in reading_order() {
        let text = source(&module);
        let lines = text.lines().count();
        assert!(text.starts_with("//! "), "{module} does not begin by saying what it is");
        assert!(lines <= LINES_MAX, "{module} has {lines} lines");
    }
}

#[test]
fn every_file_is_in_the_table_of_contents() {
    let order = reading_order();
    let mut stack = vec![Path::new("src").to_path_buf()];
    while let Some(dir) = stack.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
                continue;
            }
            let name = path.with_extension("").strip_prefix("src").unwrap().display().to_string();
            let name = name.replace('/', "::");
            assert!(name == "lib" || name == "main" || order.contains(&name), "{name} is unlisted");
        }
    }
}

/// `book::address`, `book::tag`, … in the order `src/lib.rs` declares them.
fn reading_order() -> Vec<String> {
    let mut order = Vec::new();
    let mut folder = None;
    for line in fs::read_to_string("src/lib.rs").expect("src/lib.rs").lines() {
        let Some(rest) = line.trim().strip_prefix("pub mod ") else {
            folder = folder.filter(|_| line != "}");
            continue;
        };
        match (rest.strip_suffix(" {"), rest.strip_suffix(';'), &folder) {
            (Some(name), _, _) => folder = Some(name.to_owned()),
            (_, Some(name), Some(folder)) => order.push(format!("{folder}::{name}")),
            (_, Some(name), None) => order.push(name.to_owned()),
            _ => panic!("lib.rs: cannot read {line:?}"),
        }
    }
    order
}

fn source(module: &str) -> String {
    let path = format!("src/{}.rs", module.replace("::", "/"));
    fs::read_to_string(&path).unwrap_or_else(|err| panic!("{path}: {err}"))
}

/// Numbered lines, comments and the tests at the foot of the file left out.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let body = text.split("#[cfg(test)]").next().unwrap_or(text);
    body.lines().enumerate().map(|(n, l)| (n + 1, l)).filter(|(_, l)| !l.trim().starts_with("//"))
}

/// Where in `order` each `crate::` path of a line points; `None` if it names no listed module.
fn named(line: &str, order: &[String]) -> impl Iterator<Item = Option<usize>> {
    line.match_indices("crate::").map(|(at, found)| {
        let path = &line[at + found.len()..];
        order.iter().position(|module| {
            path.strip_prefix(module.as_str())
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    })
}
