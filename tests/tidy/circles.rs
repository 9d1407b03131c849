//! The rule that the files of a room import each other in one direction.
//!
//! Owns how the imports of a file are read.
//!
//! Not here: which room may import which other room (`tests/tidy.rs`).
#![allow(clippy::indexing_slicing, reason = "a rule that is broken fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Source, fail, sources};

/// A path in the crate, without `crate`: `broker::dead_filter::DeadQueue` is three names.
type Path = Vec<String>;

/// The names that a file takes from each other file.
type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The modules of the crate: the file of each, and what it re-exports under which name.
#[derive(Default)]
struct Modules {
    files: BTreeMap<Path, String>,
    exports: BTreeMap<Path, BTreeMap<String, Path>>,
}

impl Modules {
    /// The absolute path of one that is written in a module; `None` for another crate.
    fn absolute(&self, module: &[String], written: &[String]) -> Option<Path> {
        let supers = written.iter().take_while(|name| *name == "super").count();
        let (base, rest) = match written.first().map(String::as_str) {
            Some("crate") => (&[][..], &written[1..]),
            Some("self") => (module, &written[1..]),
            _ if supers > 0 => (&module[..module.len().checked_sub(supers)?], &written[supers..]),
            Some(child) if self.files.contains_key(&[module, &[child.to_owned()]].concat()) => {
                (module, written)
            }
            _ => return None,
        };
        Some([base, rest].concat())
    }

    /// The file that defines what a path names. Re-exports are followed.
    fn file_of(&self, path: &[String]) -> Option<&str> {
        let module = (1..=path.len()).rev().find(|end| self.files.contains_key(&path[..*end]))?;
        let exported = path
            .get(module)
            .and_then(|name| self.exports.get(&path[..module])?.get(name))
            .map(|target| [target, &path[module + 1..]].concat());
        match exported {
            Some(target) => self.file_of(&target),
            None => self.files.get(&path[..module]).map(String::as_str),
        }
    }
}

/// The module of a file.
fn module_of(file: &str) -> Path {
    let mut path: Path = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    path.pop_if(|name| name == "mod");
    path
}

/// The code without texts and comments, so that no word of them counts as an import.
pub(super) fn bare_code(source: &Source) -> String {
    let lines: Vec<_> = source.code().collect();
    let (mut bare, mut inside, mut escaped) = (String::new(), false, false);
    for sign in lines.join("\n").replace("'\"'", "").replace("'\\\"'", "").chars() {
        match sign {
            '"' if !escaped => inside = !inside,
            _ if inside => (),
            _ => bare.push(sign),
        }
        escaped = inside && sign == '\\' && !escaped;
    }
    bare
}

/// Writes out a tree of imports: `{a::B, c::{D as E}}` is `a::B` and `c::D`. Each comes with the
/// name under which it is known.
fn expand(before: &[String], tree: &str, into: &mut Vec<(Path, String)>) {
    let tree = tree.trim();
    if let Some(list) = tree.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let (mut depth, mut start) = (0, 0);
        for (at, sign) in list.char_indices() {
            depth += i32::from(sign == '{') - i32::from(sign == '}');
            if sign == ',' && depth == 0 {
                expand(before, &list[start..at], into);
                start = at + 1;
            }
        }
        expand(before, &list[start..], into);
    } else if let Some((name, rest)) = tree.split_once("::") {
        expand(&[before, &[name.trim().to_owned()]].concat(), rest, into);
    } else if tree == "self" {
        into.push((before.to_vec(), before.last().cloned().unwrap_or_default()));
    } else if !tree.is_empty() {
        let (name, known) = tree.split_once(" as ").unwrap_or((tree, tree));
        into.push(([before, &[name.trim().to_owned()]].concat(), known.trim().to_owned()));
    }
}

/// The `use` statements of a file, each path with the name under which it is known.
#[derive(Default)]
struct Uses {
    exports: Vec<(Path, String)>,
    imports: Vec<(Path, String)>,
    /// The code without these statements.
    rest: String,
}

fn uses(code: &str) -> Uses {
    let mut uses = Uses::default();
    for statement in code.split_inclusive(';') {
        let start = statement.rfind("\nuse ").or_else(|| statement.rfind(" use "));
        match start.or_else(|| statement.starts_with("use ").then_some(0)) {
            Some(at) => {
                let (before, tree) = statement.split_at(at);
                let tree = tree.trim_start().trim_start_matches("use ").trim_end_matches(';');
                let line = before.rsplit('\n').next().unwrap_or_default().trim_start();
                let is_export = line.starts_with("pub");
                let into = if is_export { &mut uses.exports } else { &mut uses.imports };
                expand(&[], tree, into);
                uses.rest.push_str(before);
            }
            None => uses.rest.push_str(statement),
        }
    }
    uses
}

/// The paths in code, such as `super::error::describe`.
fn written_paths(code: &str) -> impl Iterator<Item = Path> {
    let words = code.split(|sign: char| !(sign.is_alphanumeric() || sign == '_' || sign == ':'));
    words
        .filter(|word| word.contains("::"))
        .map(|word| word.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn imports(sources: &[Source]) -> Imports {
    let sources = || sources.iter().filter(|source| !source.is_test());
    let mut modules = Modules::default();
    for source in sources() {
        modules.files.insert(module_of(&source.path), source.path.clone());
    }
    let mut taken = Vec::new();
    for source in sources() {
        let module = module_of(&source.path);
        let Uses { exports, imports, rest } = uses(&bare_code(source));
        let exports: BTreeMap<_, _> = exports
            .into_iter()
            .filter_map(|(path, known)| Some((known, modules.absolute(&module, &path)?)))
            .collect();
        let paths = imports.into_iter().map(|(path, _)| path).chain(written_paths(&rest));
        let paths = paths.filter_map(|path| modules.absolute(&module, &path));
        taken.push((source.path.clone(), paths.collect::<Vec<_>>()));
        modules.exports.insert(module, exports);
    }
    let mut all = Imports::new();
    for (file, paths) in taken {
        for path in paths {
            let Some(other) = modules.file_of(&path) else { continue };
            // What a module owns, the files below it may use: its methods may be among them.
            let is_above = module_of(&file).starts_with(&module_of(other));
            let same_room = file.split('/').next() == other.split('/').next();
            if same_room && !is_above {
                let name = path.last().cloned().unwrap_or_default();
                all.entry(file.clone())
                    .or_default()
                    .entry(other.to_owned())
                    .or_default()
                    .insert(name);
            }
        }
    }
    all
}

/// The shortest circle through a file, as the files in order.
fn circle_through<'a>(imports: &'a Imports, file: &'a str) -> Option<Vec<&'a str>> {
    let others = |of: &str| imports.get(of).into_iter().flat_map(|others| others.keys());
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting = VecDeque::from([file]);
    while let Some(one) = waiting.pop_front() {
        for other in others(one).map(String::as_str) {
            if other == file {
                let before = |one: &&'a str| came_from.get(*one).copied();
                let mut circle: Vec<_> = std::iter::successors(Some(one), before).collect();
                circle.reverse();
                return Some(circle);
            }
            if let std::collections::btree_map::Entry::Vacant(place) = came_from.entry(other) {
                place.insert(one);
                waiting.push_back(other);
            }
        }
    }
    None
}

/// A sentence for each circle. Each file of a circle is named once.
fn circles(imports: &Imports) -> Vec<String> {
    let (mut named, mut found) = (BTreeSet::new(), Vec::new());
    for file in imports.keys() {
        let Some(circle) = circle_through(imports, file) else { continue };
        let new = circle.iter().filter(|one| named.insert(**one)).count();
        if new == 0 {
            continue;
        }
        let steps: Vec<_> = circle
            .iter()
            .zip(circle.iter().cycle().skip(1))
            .map(|(one, other)| {
                let names: Vec<_> = imports[*one][*other].iter().map(String::as_str).collect();
                format!("src/{one} takes {} of src/{other}", names.join(", "))
            })
            .collect();
        found.push(format!("a circle: {}", steps.join("; ")));
    }
    found
}

/// The sources as rooms of one crate. The emulator, a crate of its own, becomes a room.
fn rooms() -> Vec<Source> {
    const EMULATOR: &str = "bin/roomcast-emulator/";
    let mut rooms = sources();
    for source in &mut rooms {
        if let Some(file) = source.path.strip_prefix(EMULATOR) {
            source.path = format!("emulator/{}", file.replace("main.rs", "mod.rs"));
            source.text = source.text.replace("crate::", "crate::emulator::");
        }
    }
    rooms
}

#[test]
fn the_files_of_a_room_import_each_other_in_one_direction() {
    let imports = imports(&rooms());
    assert!(imports.len() > 100, "the imports were read");
    assert!(imports.contains_key("emulator/control.rs"), "those of the emulator too");
    fail(&circles(&imports));
}

#[test]
fn imports_are_read_through_lists_re_exports_and_paths_in_code() {
    let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let read = imports(&[
        source("room/mod.rs", "mod a;\nmod b;\npub use a::{One, deep::Two as Renamed};\n"),
        source("room/a.rs", "use super::b::{self, Three,};\nconst X: &str = \"super::c::Four\";\n"),
        source(
            "room/b.rs",
            "use crate::{other::Thing, room::{One, Renamed}};\n// super::c::Five\n",
        ),
        source("room/c.rs", "fn f() { super::b::Three::new() }\nuse std::fmt;\n"),
        source("room/b/below.rs", "use super::Three;\nuse super::super::c;\n"),
        source("other.rs", "pub struct Thing;\n"),
    ]);
    let shown: Vec<_> = read
        .iter()
        .flat_map(|(one, others)| {
            others.iter().map(move |(other, names)| {
                (one.as_str(), other.as_str(), names.iter().map(String::as_str).collect::<Vec<_>>())
            })
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("room/a.rs", "room/b.rs", vec!["Three", "b"]),
            ("room/b.rs", "room/a.rs", vec!["One", "Renamed"]),
            ("room/b/below.rs", "room/c.rs", vec!["c"]),
            ("room/c.rs", "room/b.rs", vec!["new"]),
        ]
    );
    assert_eq!(
        circles(&read),
        ["a circle: src/room/a.rs takes Three, b of src/room/b.rs; \
             src/room/b.rs takes One, Renamed of src/room/a.rs"]
    );
}
