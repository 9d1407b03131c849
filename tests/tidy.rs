//! The rules of the source tree.
//!
//! Owns which module may import which, which module may use an external crate or name a platform,
//! file headers, and file lengths.
//!
//! Not here: circles of imports inside a room (`tidy/circles.rs`), texts that are written twice
//! (`tidy/wording.rs`), the width of lines (`tidy/width.rs`), and the lints (`Cargo.toml`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a rule that is broken fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use roomcast::domain::Platform;

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/tuples.rs"]
mod tuples;
#[path = "tidy/width.rs"]
mod width;
#[path = "tidy/wording.rs"]
mod wording;

struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The module: `broker`, `pace`, …; a file directly under `src` is a module of its own.
    fn room(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// Its lines, without tests and comments.
    fn code(&self) -> impl Iterator<Item = &str> {
        let end = self.text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text[..end].lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    fn is_test(&self) -> bool {
        ["tests/", "/conformance/"].iter().any(|folder| self.path.contains(folder))
            || ["tests.rs", "_harness.rs"].iter().any(|end| self.path.ends_with(end))
    }
}

/// The Rust files below the folders, with their paths in the repository.
fn files(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<_> = folders.iter().map(|name| root.join(name)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    found
}

/// The files of the crate, with their paths below `src`.
fn sources() -> Vec<Source> {
    let mut found = files(&["src"]);
    for source in &mut found {
        source.path = source.path.trim_start_matches("src/").to_owned();
    }
    assert!(found.len() > 80, "the sources were found");
    found
}

fn fail(broken: &[String]) {
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn an_outside_library_is_named_by_its_room_alone() {
    let owners: [(&str, &[&str]); 26] = [
        ("lapin::", &["broker"]),
        ("async_rs::", &["broker"]),
        // For requests to the platforms, and to the receiver of traces.
        ("reqwest::", &["send", "telemetry"]),
        ("governor::", &["pace"]),
        ("pulldown_cmark::", &["platforms"]),
        ("unicode_segmentation::", &["platforms"]),
        ("minijinja::", &["fanout"]),
        ("sled::", &["store"]),
        ("postcard::", &["store"]),
        ("chacha20poly1305::", &["crypto"]),
        ("hkdf::", &["crypto"]),
        ("axum::", &["admin"]),
        ("cookie::", &["admin"]),
        ("clap::", &["cli"]),
        ("prometheus_client::", &["telemetry"]),
        ("opentelemetry::", &["telemetry"]),
        ("opentelemetry_http::", &["telemetry"]),
        ("opentelemetry_otlp::", &["telemetry"]),
        ("opentelemetry_sdk::", &["telemetry"]),
        ("tracing_subscriber::", &["telemetry"]),
        ("toml::", &["config"]),
        ("comfy_table::", &["cli"]),
        ("csv::", &["cli"]),
        ("indicatif::", &["cli"]),
        ("ratatui::", &["cli"]),
        ("textwrap::", &["cli"]),
    ];
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.room() != "bin") {
        for (library, rooms) in owners {
            let names = source.code().any(|line| {
                line.contains(&format!("use {library}")) || line.contains(&format!(" {library}"))
            });
            if names && !rooms.contains(&source.room()) {
                broken.push(format!("src/{} names {library}", source.path));
            }
        }
    }
    fail(&broken);
}

#[test]
fn rooms_know_only_the_rooms_below_them() {
    let all = [
        "admin",
        "app",
        "broker",
        "cli",
        "config",
        "crypto",
        "fanout",
        "history",
        "pace",
        "pipeline",
        "platforms",
        "send",
        "settle",
        "store",
        "telemetry",
    ];
    // Modules that are not listed may import all others.
    let allowed: [(&str, &[&str]); 16] = [
        ("domain", &[]),
        ("clock", &[]),
        ("port", &[]),
        ("settings", &[]),
        ("crypto", &[]),
        ("platforms", &[]),
        ("fanout", &["platforms"]),
        ("history", &[]),
        ("pace", &[]),
        ("send", &["platforms"]),
        ("store", &["admin", "crypto", "fanout", "history", "pace", "settle"]),
        ("settle", &["pace"]),
        ("broker", &["fanout", "settle"]),
        ("telemetry", &["history", "pace"]),
        ("admin", &["broker", "crypto", "fanout", "history", "pace", "platforms", "telemetry"]),
        // The rooms declare their settings, and the configuration reads them.
        (
            "config",
            &[
                "admin",
                "broker",
                "crypto",
                "fanout",
                "history",
                "pace",
                "pipeline",
                "platforms",
                "send",
                "settle",
                "store",
                "telemetry",
            ],
        ),
    ];
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.room() != "bin") {
        let Some((_, below)) = allowed.iter().find(|(room, _)| *room == source.room()) else {
            continue;
        };
        let code: String = source.code().collect::<Vec<_>>().join("\n");
        for other in all.iter().filter(|other| **other != source.room() && !below.contains(other)) {
            if names_room(&code, other) {
                broken.push(format!("src/{} names the room {other}", source.path));
            }
        }
    }
    fail(&broken);
}

/// Whether code imports from that room.
fn names_room(code: &str, room: &str) -> bool {
    let many = code.split("use crate::{").skip(1).any(|rest| {
        let list = rest.split("};").next().unwrap();
        list.split([',', '{', '\n']).any(|part| part.trim().starts_with(&format!("{room}::")))
    });
    code.contains(&format!("crate::{room}::")) || many
}

#[test]
fn rooms_use_the_store_through_its_ports() {
    // What builds it, and the commands on the files of a store that is not open.
    let concrete = [
        "app.rs",
        "app/wiring.rs",
        "cli/check.rs",
        "cli/local_store.rs",
        "cli/store.rs",
        "config/sections.rs",
    ];
    let broken: Vec<_> = sources()
        .iter()
        .filter(|source| !["bin", "store"].contains(&source.room()) && !source.is_test())
        .filter(|source| !concrete.contains(&source.path.as_str()))
        .filter(|source| names_room(&source.code().collect::<Vec<_>>().join("\n"), "store"))
        .map(|source| format!("src/{} names the store and not a port", source.path))
        .collect();
    fail(&broken);
}

/// The end of what begins with the bracket at `from`.
fn closing(code: &str, from: usize, open: char, close: char) -> usize {
    let mut depth = 0;
    for (at, character) in code[from..].char_indices() {
        depth += i32::from(character == open) - i32::from(character == close);
        if depth == 0 {
            return from + at + 1;
        }
    }
    code.len()
}

/// The bodies of async functions and blocks, without the work that they give to other threads.
fn async_bodies(code: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    for (at, found) in code.match_indices("async ") {
        let rest = &code[at + found.len()..];
        let is_body = ["fn ", "move ", "{", "|"].iter().any(|next| rest.starts_with(next));
        // A function of a trait may have no body.
        let Some(begin) = rest.find(['{', ';']).filter(|end| rest[*end..].starts_with('{')) else {
            continue;
        };
        let from = at + found.len() + begin;
        if is_body {
            let mut body = code[from..closing(code, from, '{', '}')].to_owned();
            for elsewhere in ["blocking(", "off_thread("] {
                while let Some(call) = body.find(elsewhere) {
                    let open = call + elsewhere.len() - 1;
                    let end = closing(&body, open, '(', ')');
                    body.replace_range(call..end, "elsewhere");
                }
            }
            bodies.push(body);
        }
    }
    bodies
}

#[test]
fn no_async_function_waits_for_the_disk() {
    let calls = [
        "fs::",
        "File::",
        ".sync_all()",
        ".sync_data()",
        "Store::open(",
        "FileLedger::open(",
        "Journal::open(",
        "FileHistory::open(",
        "Config::load(",
        "thread::sleep(",
    ];
    let example = "async fn f() { blocking(move || fs::read(path)).await; fs::write(path) }";
    assert_eq!(async_bodies(example), ["{ elsewhere.await; fs::write(path) }"]);
    let mut broken = Vec::new();
    // The command line and the emulator have nothing else to do meanwhile, and a daemon that makes
    // its socket serves nothing yet.
    let idle = |source: &Source| {
        ["bin", "cli"].contains(&source.room()) || source.path == "admin/socket_file.rs"
    };
    for source in sources().iter().filter(|source| !idle(source)) {
        let code = source.code().collect::<Vec<_>>().join("\n");
        let bodies = if source.is_test() { Vec::new() } else { async_bodies(&code) };
        for call in calls {
            let is_named = |body: &String| {
                let mut before = body.match_indices(call).map(|(at, _)| body[..at].chars().last());
                before.any(|one| one.is_none_or(|one| !one.is_alphanumeric()))
            };
            if bodies.iter().any(is_named) {
                broken.push(format!("src/{} calls {call} in an async function", source.path));
            }
        }
    }
    fail(&broken);
}

#[test]
fn the_emulator_shares_no_code_with_the_sender() {
    let broken: Vec<_> = sources()
        .iter()
        .filter(|source| {
            source.path.starts_with("bin/roomcast-emulator") && source.text.contains("roomcast::")
        })
        .map(|source| format!("src/{} names the library", source.path))
        .collect();
    fail(&broken);
}

#[test]
fn every_file_says_what_it_owns_and_can_be_read_in_one_sitting() {
    let mut broken = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            broken.push(format!("src/{} has no header", source.path));
        }
        let lines = source.code().count();
        if lines > 400 && !source.is_test() {
            broken.push(format!("src/{} has {lines} lines of code", source.path));
        }
        for word in ["utils", "helpers", "manager", "fn handle_", "fn process_"] {
            if source.path.contains(word) || source.code().any(|line| line.contains(word)) {
                broken.push(format!("src/{} says {word}", source.path));
            }
        }
    }
    fail(&broken);
}

#[test]
fn credentials_have_no_debug_and_no_display() {
    let secret = sources().into_iter().find(|source| source.path == "domain/secret.rs").unwrap();
    for forbidden in ["derive(Debug", "Debug,", "impl fmt::Display", "impl fmt::Debug", "Serialize"]
    {
        assert!(
            !secret.code().any(|line| line.contains(forbidden)),
            "domain/secret.rs says {forbidden}"
        );
    }
}

/// The structs in which a field is declared. Options that a macro declares count once.
fn structs_with(field: &str) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.room() != "bin" && !source.is_test()) {
        let mut inside = None;
        for line in source.code() {
            let declares = line.contains("struct ") || line.starts_with("options! {");
            if declares && line.ends_with('{') {
                inside = Some(line.to_owned());
            } else if line.starts_with('}') {
                inside = None;
            }
            let declared = line.trim_start().trim_start_matches("pub(super) ");
            let declared = declared.trim_start_matches("pub ");
            if let Some(name) = &inside
                && declared.starts_with(&format!("{field}: "))
            {
                found.push(format!("src/{}: {name}", source.path));
            }
        }
    }
    found
}

#[test]
fn an_option_of_a_subscription_stands_in_few_structs() {
    // The options with their patch, the command line, the sealed record, and two of the rendering.
    for (option, most) in
        [("keyword", 5), ("too_long", 4), ("quiet", 2), ("overflow", 4), ("language", 4)]
    {
        let found = structs_with(option);
        assert!(!found.is_empty(), "{option} is declared");
        assert!(found.len() <= most, "{option} stands in {} structs: {found:#?}", found.len());
    }
}

#[test]
fn a_platform_is_named_by_its_folder_and_by_the_list_of_platforms_alone() {
    let names: Vec<_> = Platform::ALL
        .into_iter()
        .flat_map(|platform| platform.aliases().iter().copied().chain([platform.as_str()]))
        .map(|name| name.replace('_', ""))
        .collect();
    let knows = |source: &Source| {
        let folder = ["platforms", "bin"].contains(&source.room());
        let test = source.is_test() || source.path.ends_with("fixtures.rs");
        folder || test || source.path == "domain/platform.rs"
    };
    let broken: Vec<_> = sources()
        .iter()
        .filter(|source| !knows(source))
        .flat_map(|source| {
            let lines = source.code().map(|line| line.to_lowercase().replace('_', ""));
            let named = lines.filter(|line| names.iter().any(|name| line.contains(name)));
            named.map(|line| format!("src/{} names a platform: {}", source.path, line.trim()))
        })
        .collect();
    fail(&broken);
}
