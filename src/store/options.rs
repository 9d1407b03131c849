//! The format of a subscription's options in its row.
//!
//! Length of all fields 2 bytes · for each field: tag 1 · length 1 · value. A field with its
//! default is left out, so a later version can add fields.
//!
//! Owns the tags. An unknown tag belongs to a later version and has a meaning, so the row is
//! refused.
//!
//! Not here: the row around the options (`row.rs`), the meaning of an option (`domain/`).

use std::sync::Arc;

use crate::{
    domain::{Language, LongTextPolicy, OverflowPolicy, SubscriptionOptions},
    fanout::{read_policy, write_policy},
};

const OVERFLOW: u8 = 1;
const GROUP: u8 = 2;
/// A filter as JSON. A filter longer than one field continues in the next.
const FILTER: u8 = 3;
/// Quiet hours as text.
const QUIET: u8 = 4;
const TOO_LONG: u8 = 5;
const LANGUAGE: u8 = 6;

pub(super) fn encode(options: &SubscriptionOptions) -> Vec<u8> {
    let mut fields = Vec::new();
    match options.overflow {
        OverflowPolicy::Queue => {}
        OverflowPolicy::Digest => fields.extend([OVERFLOW, 1, 1]),
        OverflowPolicy::Latest => fields.extend([OVERFLOW, 1, 2]),
    }
    if let Some(group) = &options.group {
        let name = group.as_str().as_bytes();
        // The name of a group has at most 64 bytes.
        fields.extend([GROUP, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
        fields.extend(name);
    }
    if let Some(filter) = &options.filter {
        for part in write_policy(filter).to_string().as_bytes().chunks(u8::MAX.into()) {
            fields.extend([FILTER, u8::try_from(part.len()).unwrap_or(u8::MAX)]);
            fields.extend(part);
        }
    }
    if let Some(quiet) = &options.quiet {
        let text = quiet.to_string();
        // The text of quiet hours has at most about 200 bytes plus the name of a time zone.
        fields.extend([QUIET, u8::try_from(text.len()).unwrap_or(u8::MAX)]);
        fields.extend(text.as_bytes());
    }
    if options.too_long == LongTextPolicy::Cut {
        fields.extend([TOO_LONG, 1, 1]);
    }
    match options.language {
        None => {}
        Some(Language::Zh) => fields.extend([LANGUAGE, 1, 1]),
        Some(Language::En) => fields.extend([LANGUAGE, 1, 2]),
    }
    // The JSON of a filter has at most 16 KiB when it is read, and at most twice that when it is
    // written again. All other fields are short.
    let length = u16::try_from(fields.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().as_slice(), &fields].concat()
}

/// Decodes options and returns the rest. `None` if they are incomplete or of an unknown version.
pub(super) fn decode(bytes: &[u8]) -> Option<(SubscriptionOptions, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (mut fields, after) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let (mut options, mut filter) = (SubscriptionOptions::default(), Vec::new());
    while let Some((&tag, rest)) = fields.split_first() {
        let (&length, rest) = rest.split_first()?;
        let (value, rest) = rest.split_at_checked(length.into())?;
        fields = rest;
        match (tag, value) {
            (OVERFLOW, [1]) => options.overflow = OverflowPolicy::Digest,
            (OVERFLOW, [2]) => options.overflow = OverflowPolicy::Latest,
            (GROUP, name) => options.group = Some(std::str::from_utf8(name).ok()?.parse().ok()?),
            (FILTER, part) => filter.extend(part),
            (QUIET, text) => {
                options.quiet = Some(Arc::new(std::str::from_utf8(text).ok()?.parse().ok()?))
            }
            (TOO_LONG, [1]) => options.too_long = LongTextPolicy::Cut,
            (LANGUAGE, [1]) => options.language = Some(Language::Zh),
            (LANGUAGE, [2]) => options.language = Some(Language::En),
            _ => return None,
        }
    }
    if !filter.is_empty() {
        options.filter = Some(Arc::new(read_policy(&serde_json::from_slice(&filter).ok()?).ok()?));
    }
    Some((options, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FilterPolicy;

    fn filter(values: usize) -> Arc<FilterPolicy> {
        let values: Vec<_> = (0..values).map(|number| format!("告警 {number}")).collect();
        Arc::new(
            read_policy(&serde_json::json!({"severity": values, "team": [{"exists": true}]}))
                .unwrap(),
        )
    }

    #[test]
    fn options_are_read_back_as_they_were_written_and_the_rest_of_the_bytes_is_returned() {
        let languages = [None, Some(Language::Zh), Some(Language::En)];
        for (overflow, language) in OverflowPolicy::ALL.into_iter().zip(languages) {
            for group in [None, Some("g".repeat(64).parse().unwrap())] {
                for filter in [None, Some(filter(1)), Some(filter(50))] {
                    for quiet in [None, Some("mon-fri 22:00-07:00, sun 00:00-24:00 Europe/Berlin")]
                    {
                        let quiet = quiet.map(|text| Arc::new(text.parse().unwrap()));
                        let too_long = if quiet.is_some() {
                            LongTextPolicy::Cut
                        } else {
                            LongTextPolicy::Split
                        };
                        let options = SubscriptionOptions {
                            overflow,
                            group: group.clone(),
                            filter: filter.clone(),
                            quiet,
                            too_long,
                            language,
                        };
                        let bytes = [encode(&options), b"record".to_vec()].concat();
                        assert_eq!(decode(&bytes), Some((options, &b"record"[..])));
                    }
                }
            }
        }
        assert_eq!(encode(&SubscriptionOptions::default()), [0, 0]);
    }

    #[test]
    fn a_field_of_a_later_version_or_a_broken_one_is_refused() {
        for bytes in [
            &[0, 3, 99, 1, 0][..],
            &[0, 3, OVERFLOW, 1, 7],
            &[0, 2, GROUP, 0],
            &[0, 2, GROUP, 9],
            &[0, 3, QUIET, 1, b'x'],
            &[0, 3, TOO_LONG, 1, 2],
            &[0, 3, LANGUAGE, 1, 3],
            &[0, 9],
            &[0],
        ] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }
}
