//! Events as they are published in the field, and what members read of them on each platform.
//!
//! Owns the form of the cases. Each folder here is one: `<name>.json` is the body of an event,
//! `<name>.expected.json` is what is right. `properties.json` has the AMQP properties, if there are
//! any. `<template>.j2` and `<template>.tags` are templates. The types below have all fields.
//!
//! Not here: cases that need a broker or a robot's answer. They are in `tests/it/`, which reads the
//! data of their folders too.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected fails by panicking"
)]

mod case;
mod constructs;
mod properties;
mod rendered;
mod shown;
mod shown_line;

use std::{fs, path::PathBuf};

use case::{Case, cases};

/// Folders whose cases are judged elsewhere, and the file that does it.
const ELSEWHERE: &[(&str, &str)] = &[
    ("answer-in-gzip", "src/send/http_transport.rs"),
    ("forward-proxy", "tests/it/outgoing.rs"),
    ("large-headers", "tests/it/carried.rs"),
    ("lark-too-large", "tests/it/degraded.rs"),
    ("message-that-expires-in-the-broker", "tests/it/carried.rs"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn each_event_of_the_field_is_read_on_each_platform_as_is_right() {
    let wrong: Vec<String> = cases().iter().flat_map(Case::mistakes).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_of_the_field_is_judged() {
    let judged: Vec<_> = cases().into_iter().map(|case| case.folder).collect();
    for entry in fs::read_dir(root().join("tests/field")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if !entry.file_type().unwrap().is_dir() || judged.contains(&name) {
            continue;
        }
        let by = ELSEWHERE.iter().find(|(folder, _)| *folder == name);
        let (_, by) = by.unwrap_or_else(|| panic!("tests/field/{name} has no *.expected.json"));
        let text = fs::read_to_string(root().join(by)).unwrap();
        assert!(text.contains(&format!("field/{name}")), "{by} does not read tests/field/{name}");
    }
}
