//! Reads the lines of an import, as CSV or as JSON.
//!
//! Owns that an error never quotes a line, because a line holds credentials.
//!
//! Not here: sending the lines (`import.rs`).

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{args::ListFormat, columns, exit::Failure};
use crate::{
    admin::wire::AddRequest,
    crypto::TransferKey,
    domain::{Mentions, PrivateOptions, Secret, SubscriptionOptions, refused_value},
};

/// One line of the file.
pub(super) struct ImportLine {
    /// Its number, from 1.
    pub(super) number: u64,
    /// Its approximate size in a request, in bytes.
    pub(super) bytes: usize,
    /// The subscription, or the reason why it cannot be read.
    pub(super) content: Result<AddRequest, String>,
}

/// In bytes. A longer line is refused, because the daemon accepts no larger subscription.
const BYTES_MAX: usize = 64 * 1024;

/// The lines of `input`. The form comes from `format`, else from the file's extension, else from
/// the first character.
///
/// # Errors
///
/// If the input cannot be read, or the first line of a CSV is wrong.
pub(super) fn read<'a>(
    input: impl Read + 'a,
    path: Option<&Path>,
    format: Option<ListFormat>,
    key: Option<TransferKey>,
) -> Result<Box<dyn Iterator<Item = ImportLine> + 'a>, Failure> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let ending = path.and_then(Path::extension).and_then(|ending| ending.to_str());
    let format = match (format, ending) {
        (Some(format), _) => format,
        (None, Some("csv")) => ListFormat::Csv,
        (None, Some("json" | "jsonl" | "ndjson")) => ListFormat::Jsonl,
        _ => {
            let start = input
                .fill_buf()
                .map_err(|error| Failure::Usage(format!("the input cannot be read: {error}")))?;
            if start.trim_ascii_start().first() == Some(&b'{') {
                ListFormat::Jsonl
            } else {
                ListFormat::Csv
            }
        }
    };
    match format {
        ListFormat::Csv => csv_lines(input),
        ListFormat::Jsonl => Ok(Box::new(json_lines(input, key))),
    }
}

fn json_lines(input: impl BufRead, key: Option<TransferKey>) -> impl Iterator<Item = ImportLine> {
    let numbered = (1..).zip(input.lines());
    numbered.filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim().is_empty())).map(
        move |(number, line)| {
            let (bytes, content) = match line {
                Ok(line) => {
                    (line.len(), short(line.len()).and_then(|()| json(&line, key.as_ref())))
                }
                Err(error) => (0, Err(format!("it cannot be read: {error}"))),
            };
            ImportLine { number, bytes, content }
        },
    )
}

fn short(bytes: usize) -> Result<(), String> {
    if bytes <= BYTES_MAX {
        Ok(())
    } else {
        Err(format!("it has {bytes} bytes, and a line has at most {BYTES_MAX}"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    sealed: String,
}

fn json(line: &str, key: Option<&TransferKey>) -> Result<AddRequest, String> {
    if let Ok(Sealed { sealed }) = serde_json::from_str(line) {
        let key = key.ok_or("it is sealed: name the key file with --key")?;
        let plain = BASE64_STANDARD.decode(sealed).ok().and_then(|bytes| key.open(&bytes).ok());
        let plain = plain.ok_or("it does not open with this key file, or is damaged")?;
        return serde_json::from_slice(&plain)
            .map_err(|_| "it was sealed by a version that this one does not know".to_owned());
    }
    // The parser's message may quote a part of the line.
    serde_json::from_str(line).map_err(|error| {
        refused_value(&error).unwrap_or_else(|| {
            format!(
                "it is not the JSON of a subscription, from character {} on: \
                 topic, platform and endpoint are needed, other fields must be known",
                error.column()
            )
        })
    })
}

fn csv_lines<'a>(
    input: impl Read + 'a,
) -> Result<Box<dyn Iterator<Item = ImportLine> + 'a>, Failure> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(input);
    let names = reader
        .headers()
        .map_err(|_| Failure::Usage("the first line is not CSV in UTF-8".to_owned()))?
        .clone();
    let known = columns::of_import();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        let known = known.join(", ");
        return Err(Failure::Usage(format!(
            "the first line must name the columns; {unknown:?} is none of {known}"
        )));
    }
    if let Some(missing) =
        columns::REQUIRED.iter().find(|needed| !names.iter().any(|name| name == **needed))
    {
        return Err(Failure::Usage(format!("the column {missing} is missing in the first line")));
    }
    Ok(Box::new(reader.into_records().map(move |record| match record {
        Ok(record) => {
            let (number, bytes) =
                (record.position().map_or(0, csv::Position::line), record.as_slice().len());
            ImportLine { number, bytes, content: short(bytes).and_then(|()| row(&names, &record)) }
        }
        Err(error) => {
            let number = error.position().map_or(0, csv::Position::line);
            ImportLine { number, bytes: 0, content: Err("it is not CSV in UTF-8".to_owned()) }
        }
    })))
}

fn row(names: &csv::StringRecord, record: &csv::StringRecord) -> Result<AddRequest, String> {
    if record.len() != names.len() {
        return Err(format!(
            "it has {} columns, and the first line names {}",
            record.len(),
            names.len()
        ));
    }
    let get = |column: &str| {
        let place = names.iter().position(|name| name == column)?;
        record.get(place).filter(|value| !value.is_empty())
    };
    let many = |column: &str| {
        get(column).map(|all| all.split(';').map(|one| one.trim().to_owned()).collect())
    };
    let all = match get("mention_all") {
        None | Some("false" | "no" | "0") => false,
        Some("true" | "yes" | "1") => true,
        Some(_) => return Err("mention_all is true or false".to_owned()),
    };
    let mut options = Map::new();
    for name in PrivateOptions::NAMES.iter().chain(SubscriptionOptions::NAMES) {
        if let Some(text) = get(name) {
            options.insert((*name).to_owned(), text.into());
        }
    }
    if let Some(filter) = get("filter") {
        let filter = serde_json::from_str(filter).map_err(|_| "filter is not JSON".to_owned())?;
        options.insert("filter".to_owned(), filter);
    }
    let mentions = Mentions {
        all,
        mobiles: many("mention_mobiles").unwrap_or_default(),
        users: many("mention_users").unwrap_or_default(),
    };
    Ok(AddRequest {
        topic: value(get("topic").unwrap_or_default())?,
        platform: value(get("platform").unwrap_or_default())?,
        endpoint: Secret::new(get("endpoint").unwrap_or_default().to_owned()),
        secret: get("secret").map(|secret| Secret::new(secret.to_owned())),
        private: PrivateOptions { mentions, ..value(options.clone())? },
        options: value(options)?,
        state: get("state").map(value).transpose()?.unwrap_or_default(),
    })
}

fn value<T: DeserializeOwned>(json: impl Into<Value>) -> Result<T, String> {
    serde_json::from_value(json.into())
        .map_err(|error| refused_value(&error).unwrap_or_else(|| "it has a wrong value".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::MasterKey;

    fn lines(text: &str, key: Option<u8>) -> Vec<Result<(String, String), String>> {
        let key = key.map(|byte| TransferKey::derive(&MasterKey::from_bytes([byte; 32])));
        let read = read(text.as_bytes(), None, None, key).unwrap_or_else(|error| panic!("{error}"));
        read.map(|line| {
            line.content
                .map(|one| (one.topic.to_string(), one.endpoint.expose().to_owned()))
                .map_err(|why| format!("{}: {why}", line.number))
        })
        .collect()
    }

    #[test]
    fn both_forms_are_read_and_bad_lines_are_numbered_without_what_they_hold() {
        let csv = "platform,topic,endpoint,mention_users\nlark,ops,\"https://a/SECRET\",a; b\n\
            lark,ops\nlark,db,https://b,\n";
        let json = "{\"topic\":\"ops\",\"platform\":\"lark\",\"endpoint\":\"https://a/SECRET\"}\n\n\
            {\"endpoint\":[\"SECRET\"]}\n\
            {\"topic\":\"db\",\"platform\":\"lark\",\"endpoint\":\"https://b\"}\n";
        for text in [csv, json] {
            let found = lines(text, None);
            assert_eq!(found[0], Ok(("ops".to_owned(), "https://a/SECRET".to_owned())));
            let why = found[1].as_ref().unwrap_err();
            assert!(why.starts_with("3: ") && !why.contains("SECRET"), "{why}");
            assert_eq!(found[2].as_ref().unwrap().0, "db");
        }
    }

    #[test]
    fn a_table_without_names_or_with_unknown_ones_is_refused() {
        for text in ["ops,lark,https://a\n", "topic,platform\n", "topic,platform,endpoint,colour\n"]
        {
            assert!(
                matches!(read(text.as_bytes(), None, None, None), Err(Failure::Usage(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn a_sealed_line_opens_with_its_key_file_only() {
        let plain = r#"{"topic":"ops","platform":"lark","endpoint":"https://a"}"#;
        let sealed =
            TransferKey::derive(&MasterKey::from_bytes([1; 32])).seal(plain.as_bytes()).unwrap();
        let line = format!("{{\"sealed\":\"{}\"}}", BASE64_STANDARD.encode(sealed));
        assert_eq!(lines(&line, Some(1))[0].as_ref().unwrap().0, "ops");
        assert!(lines(&line, Some(2))[0].is_err() && lines(&line, None)[0].is_err());
    }
}
