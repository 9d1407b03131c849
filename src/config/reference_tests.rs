//! The documents of the settings, made from the declarations: `docs/CONFIG.md`, which says what
//! each setting means, and `deploy/roomcast.toml`, which shows the defaults.
//!
//! Owns their layout. The test compares them with the declarations;
//! `UPDATE_DOCS=1 cargo test --lib config::reference_tests` writes them anew.
//!
//! Not here: what they say about a setting, which its room declares.

use std::{env, fs, path::Path};

use super::{DeclaredSection, declared_sections};
use crate::settings::{DefaultValue, Setting, TakesEffect};

const CONFIG_HEADER: &str = "\
# Settings

A test makes this file from the declarations of the settings in the code. For operators:
[deploy/roomcast.toml](../deploy/roomcast.toml) shows the same as a file to start from, and
`roomcast check` tells whether a configuration works.

- The file is TOML, one section for each heading. Every setting has a default.
- The environment overrides each key: `ROOMCAST_<SECTION>_<KEY>`, such as `ROOMCAST_BROKER_URL` or
  `ROOMCAST_PLATFORMS_LARK_BASE_URL`. Commas separate the items of lists there.
- Spans of time are written like `500ms`, `2s`, `5m`, `24h`, `7d`.
- A changed setting takes effect at the next start of the daemon, or already when SIGHUP makes it
  read its configuration. Two log lines then name what changed: the settings that apply now, and
  those that wait for the next start.
";

const EXAMPLE_HEADER: &str = "\
# roomcast's settings, each with its default. A key without a default is commented out and shows an
# example. The environment overrides any key: ROOMCAST_<SECTION>_<KEY>, such as ROOMCAST_BROKER_URL
# or ROOMCAST_PLATFORMS_LARK_BASE_URL. Commas separate the items of lists there.
#
# `roomcast check` tells whether a configuration works, without changing anything. It reports all
# mistakes at once. Spans of time are written like 500ms, 2s, 5m, 24h, 7d. docs/CONFIG.md has the
# range of each setting, and whether SIGHUP is enough for a change.
";

/// The widest line of the example.
const WIDTH: usize = 100;

/// The name of the section that stands for any name in the example.
const GROUP: &str = "acme";

#[test]
fn the_documents_say_what_the_rooms_declare() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, made) in [("docs/CONFIG.md", reference()), ("deploy/roomcast.toml", example())] {
        let path = root.join(file);
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &made).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        let differs = kept.lines().zip(made.lines()).find(|(kept, made)| kept != made);
        assert!(
            kept == made,
            "{file} is not what the declarations say; \
             UPDATE_DOCS=1 cargo test --lib config::reference_tests writes it anew. {differs:?}"
        );
    }
}

#[test]
fn every_setting_says_what_it_means_in_sentences() {
    for section in declared_sections() {
        for (key, text) in section
            .settings
            .iter()
            .map(|one| (one.key, &one.meaning))
            .chain([("about", &section.about)])
        {
            assert!(text.ends_with('.'), "[{}] {key}: {text}", section.name);
            let line = text.replace('`', "");
            assert!(!line.contains('|'), "[{}] {key}: a table has no | inside", section.name);
        }
    }
}

fn reference() -> String {
    let mut text = CONFIG_HEADER.to_owned();
    for section in declared_sections() {
        text += &format!(
            "\n## `[{}]`\n\n{}\n\n| key | value | default | takes effect | meaning |\n\
             | --- | --- | --- | --- | --- |\n",
            section.name,
            wrapped(&section.about, "", WIDTH)
        );
        for setting in &section.settings {
            let list = if matches!(setting.default, DefaultValue::Many(_)) { "list: " } else { "" };
            let range = if setting.range.is_empty() {
                String::new()
            } else {
                format!(", {}", setting.range)
            };
            text += &format!(
                "| `{}` | {list}{}{range} | {} | {} | {} |\n",
                setting.key,
                setting.kind,
                defaults(&section, setting),
                match setting.takes_effect {
                    TakesEffect::AtReload => "SIGHUP",
                    TakesEffect::AtStart => "start",
                },
                setting.meaning
            );
        }
    }
    text
}

/// The defaults of a setting in all instances of its section.
fn defaults(section: &DeclaredSection, setting: &Setting) -> String {
    let shown = |default: &DefaultValue| match default {
        DefaultValue::Unset(_) => "none".to_owned(),
        default => format!("`{}`", value(default)),
    };
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, defaults) in &section.instances {
        let default = shown(&setting.clone().with_default_from(defaults).default);
        let name = name.rsplit('.').next().unwrap();
        match found.iter_mut().find(|(known, _)| *known == default) {
            Some((_, names)) => names.push(name),
            None => found.push((default, vec![name])),
        }
    }
    match found.as_slice() {
        [] | [_] => shown(&setting.default),
        several => {
            let one = |(default, names): &(String, Vec<&str>)| {
                format!("{default} for {}", names.join(", "))
            };
            several.iter().map(one).collect::<Vec<_>>().join("; ")
        }
    }
}

fn example() -> String {
    let mut text = EXAMPLE_HEADER.to_owned();
    for section in declared_sections() {
        let about = format!("\n{}\n", wrapped(&plain(&section.about), "# ", WIDTH));
        if section.instances.is_empty() {
            let chosen = section.name.contains('<');
            let name = section.name.replace("<name>", GROUP);
            let off = if chosen { "#" } else { "" };
            text += &format!("{about}{off}[{name}]\n");
            for setting in &section.settings {
                text += &format!("{}\n{}\n", meaning(setting), line(setting, chosen));
            }
        } else {
            text += &about;
            for setting in &section.settings {
                let meaning = format!("{}: {}", setting.key, plain(&setting.meaning));
                text += &format!("#\n{}\n", wrapped(&meaning, "# ", WIDTH));
            }
            for (name, defaults) in &section.instances {
                text += &format!("\n[{name}]\n");
                for setting in &section.settings {
                    let setting = setting.clone().with_default_from(defaults);
                    text += &format!("{}\n", line(&setting, false));
                }
            }
        }
    }
    text
}

fn meaning(setting: &Setting) -> String {
    wrapped(&plain(&setting.meaning), "# ", WIDTH)
}

fn line(setting: &Setting, off: bool) -> String {
    let off = if off || matches!(setting.default, DefaultValue::Unset(_)) { "#" } else { "" };
    format!("{off}{} = {}", setting.key, value(&setting.default))
}

/// A value as TOML.
fn value(default: &DefaultValue) -> String {
    let one = |text: &String| {
        let bare = text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok();
        if bare { text.clone() } else { format!("\"{text}\"") }
    };
    match default {
        DefaultValue::One(text) | DefaultValue::Unset(text) => one(text),
        DefaultValue::Many(texts) => {
            format!("[{}]", texts.iter().map(one).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Without marks for code.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// The text in lines of at most `width` columns, each with the prefix.
fn wrapped(text: &str, prefix: &str, width: usize) -> String {
    let mut lines = vec![prefix.to_owned()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().unwrap();
        if last.len() > prefix.len() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(format!("{prefix}{word}"));
        } else {
            if last.len() > prefix.len() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines.join("\n")
}
