//! The cases: which files a case has, and what an expectation may say.
//!
//! Owns the comparison with what is expected.
//!
//! Not here: how a message is rendered (`rendered.rs`).

use std::{collections::BTreeMap, fs, path::Path};

use roomcast::domain::{HeaderValue, Platform, PublishedMessage};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    rendered::{Outcome, Refused, render},
    root,
    shown::{characters, shown},
};

/// One body, and what is right for it.
pub(crate) struct Case {
    pub(crate) folder: String,
    pub(crate) name: String,
    pub(crate) published: PublishedMessage,
    /// The templates of the folder: the file's name and its text.
    pub(crate) templates: Vec<(String, String)>,
    expected: Expected,
}

/// What is right: the event is refused, or it is rendered for each platform that is named.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    refused: Option<ExpectedRefusal>,
    /// What is right on all four platforms.
    all: Option<ExpectedMessages>,
    dingtalk: Option<ExpectedMessages>,
    dingtalk_internal: Option<ExpectedMessages>,
    lark: Option<ExpectedMessages>,
    wecom: Option<ExpectedMessages>,
}

/// A mistake that a dead letter names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedRefusal {
    code: String,
    /// What its detail says.
    #[serde(default)]
    has: Vec<String>,
    /// What its detail does not say.
    #[serde(default)]
    lacks: Vec<String>,
}

/// The messages of one event to one robot. What is not named is not compared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedMessages {
    /// The robot gets no message, because of this mistake.
    refused: Option<ExpectedRefusal>,
    /// The number of messages.
    messages: Option<usize>,
    /// Values of the first message's body, by JSON pointer. `null` means that it has no such value.
    #[serde(default)]
    fields: BTreeMap<String, Value>,
    /// Texts that occur in a value of a message.
    #[serde(default)]
    has: Vec<String>,
    /// Texts that occur in no value of any message.
    #[serde(default)]
    lacks: Vec<String>,
    /// How often texts occur in the values of all messages.
    #[serde(default)]
    count: BTreeMap<String, usize>,
    /// The characters that members read in all messages: lines without blanks at their edges, and
    /// without empty lines. Bullets of lists and the text of pictures' addresses do not count.
    shown: Option<String>,
    /// A line of the digest of this event and another.
    digest: Option<String>,
}

/// `properties.json`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Properties {
    message_id: Option<String>,
    content_type: Option<String>,
    content_encoding: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
}

/// All cases of all folders.
pub(crate) fn cases() -> Vec<Case> {
    let mut found = Vec::new();
    for folder in fs::read_dir(root().join("tests/field")).unwrap() {
        let folder = folder.unwrap().path();
        if folder.is_dir() {
            found.extend(cases_of(&folder));
        }
    }
    assert!(!found.is_empty(), "the cases were found");
    found
}

fn cases_of(folder: &Path) -> Vec<Case> {
    let files: BTreeMap<String, Vec<u8>> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect();
    // The data of cases that are judged elsewhere may have other properties.
    if !files.keys().any(|file| file.ends_with(".expected.json")) {
        return Vec::new();
    }
    let properties: Properties =
        files.get("properties.json").map_or_else(Properties::default, |json| read(folder, json));
    let templates =
        files.iter().filter(|(name, _)| name.ends_with(".j2") || name.ends_with(".tags"));
    let templates: Vec<_> = templates
        .map(|(name, text)| (name.clone(), String::from_utf8(text.clone()).unwrap()))
        .collect();
    let names = files.keys().filter_map(|file| file.strip_suffix(".expected.json"));
    names
        .map(|name| Case {
            folder: folder.file_name().unwrap().to_str().unwrap().to_owned(),
            name: name.to_owned(),
            published: published(files[&format!("{name}.json")].clone(), &properties),
            templates: templates.clone(),
            expected: read(folder, &files[&format!("{name}.expected.json")]),
        })
        .collect()
}

fn read<T: for<'a> Deserialize<'a>>(folder: &Path, json: &[u8]) -> T {
    serde_json::from_slice(json).unwrap_or_else(|mistake| panic!("{}: {mistake}", folder.display()))
}

fn published(body: Vec<u8>, properties: &Properties) -> PublishedMessage {
    let header = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Bool(is) => HeaderValue::Bool(*is),
            Value::Number(number) => HeaderValue::Int(number.as_i64().unwrap()),
            value => HeaderValue::text(value.as_str().unwrap()),
        };
        (name.clone(), value)
    };
    PublishedMessage {
        routing_key: "ops".to_owned(),
        body,
        headers: properties.headers.iter().map(header).collect(),
        message_id: properties.message_id.clone(),
        content_type: properties.content_type.clone(),
        content_encoding: properties.content_encoding.clone(),
        ..PublishedMessage::default()
    }
}

impl Case {
    /// A body without properties, of which nothing is expected.
    pub(crate) fn of_body(body: Vec<u8>) -> Self {
        Self {
            folder: String::new(),
            name: String::new(),
            published: published(body, &Properties::default()),
            templates: Vec::new(),
            expected: Expected::default(),
        }
    }

    /// Everything that is not as expected.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let Expected { refused, all, dingtalk, dingtalk_internal, lark, wecom } = &self.expected;
        let mut found = Vec::new();
        for platform in Platform::ALL {
            let own = match platform {
                Platform::DingTalk => dingtalk,
                Platform::DingTalkInternal => dingtalk_internal,
                Platform::Lark => lark,
                Platform::WeCom => wecom,
            };
            let outcome = render(self, platform);
            let told = [all, own].into_iter().flatten();
            let mut mistakes: Vec<_> = told.flat_map(|right| right.mistakes(&outcome)).collect();
            if let Some(right) = refused {
                mistakes.extend(right.mistakes(outcome.refused()));
            }
            let place = format!("tests/field/{}/{}.json, {platform}", self.folder, self.name);
            found.extend(mistakes.into_iter().map(|mistake| format!("{place}: {mistake}")));
        }
        found
    }
}

impl ExpectedRefusal {
    fn mistakes(&self, refused: Option<&Refused>) -> Vec<String> {
        let Some(Refused { code, detail }) = refused else {
            return vec![format!("is not refused with the code {}", self.code)];
        };
        let mut found = Vec::new();
        if *code != self.code {
            found.push(format!(
                "is refused with the code {code} instead of {}: {detail}",
                self.code
            ));
        }
        found.extend(lacking(&self.has, detail));
        found.extend(unwanted(&self.lacks, detail));
        found
    }
}

impl ExpectedMessages {
    fn mistakes(&self, outcome: &Outcome) -> Vec<String> {
        if let Some(right) = &self.refused {
            return right.mistakes(outcome.refused());
        }
        let messages = match outcome {
            Outcome::Messages(messages) => messages,
            Outcome::Refused(Refused { code, detail }) => {
                return vec![format!("is refused with the code {code}: {detail}")];
            }
        };
        let text = messages.text();
        let mut found = lacking(&self.has, &text);
        found.extend(unwanted(&self.lacks, &text));
        for (part, count) in &self.count {
            let is = text.matches(part.as_str()).count();
            if is != *count {
                found.push(format!("says {part:?} {is} times instead of {count}: {text}"));
            }
        }
        for (pointer, right) in &self.fields {
            let is = messages.bodies[0].pointer(pointer).unwrap_or(&Value::Null);
            if is != right {
                found.push(format!("{pointer} is {is} instead of {right}"));
            }
        }
        if let Some(right) = &self.shown {
            let is = messages.bodies.iter().map(|body| characters(&shown(body)));
            let is = is.collect::<Vec<_>>().join("\n");
            if is != *right {
                found.push(format!("is read as {is:?} instead of {right:?}: {text}"));
            }
        }
        if let Some(right) = self.messages.filter(|right| *right != messages.bodies.len()) {
            found.push(format!("is sent in {} messages instead of {right}", messages.bodies.len()));
        }
        if let Some(line) = &self.digest {
            found.extend(lacking(&[format!("• {line} (×2)")], &messages.digest));
        }
        found
    }
}

fn lacking(texts: &[String], within: &str) -> Vec<String> {
    let missing = texts.iter().filter(|text| !within.contains(text.as_str()));
    missing.map(|text| format!("does not say {text:?}: {within}")).collect()
}

fn unwanted(texts: &[String], within: &str) -> Vec<String> {
    let there = texts.iter().filter(|text| within.contains(text.as_str()));
    there.map(|text| format!("says {text:?}: {within}")).collect()
}
