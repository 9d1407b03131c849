//! The sealed part of a subscription, which only its data key opens.
//!
//! Owns the JSON under the seal, by version.
//!
//! Not here: the clear part of a row (`row.rs`), the sealing (`crypto/`).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::{Endpoint, Mentions, PrivateOptions, Secret};

/// The sealed fields.
pub(super) struct SealedFields {
    pub(super) endpoint: Endpoint,
    pub(super) secret: Option<Secret>,
    pub(super) private: PrivateOptions,
}

/// Version 1 as JSON. Fields have names instead of positions, so a later version can add some.
#[derive(Serialize, Deserialize)]
struct WireV1<'a> {
    #[serde(borrow)]
    endpoint: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    secret: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyword: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    all: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mobiles: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    users: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl SealedFields {
    /// A record with a webhook only.
    pub(super) fn of(endpoint: Endpoint) -> Self {
        Self { endpoint, secret: None, private: PrivateOptions::default() }
    }

    /// Encodes the record for sealing. The full capacity is allocated at once, because a buffer
    /// that grows leaves unwiped copies of the secrets behind.
    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let PrivateOptions { keyword, name, mentions } = &self.private;
        let wire = WireV1 {
            endpoint: self.endpoint.expose().into(),
            secret: self.secret.as_ref().map(|secret| secret.expose().into()),
            keyword: keyword.clone(),
            name: name.clone(),
            all: mentions.all,
            mobiles: mentions.mobiles.clone(),
            users: mentions.users.clone(),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.encoded_bytes_max()));
        serde_json::to_writer(&mut *bytes, &wire)?;
        Ok(bytes)
    }

    /// A bound on the length of the encoded record. JSON writes a byte of a text as six at most.
    fn encoded_bytes_max(&self) -> usize {
        const NAMES_OF_FIELDS: usize = 256;
        const QUOTES_AND_COMMA: usize = 3;
        let PrivateOptions { keyword, name, mentions } = &self.private;
        let secret = self.secret.as_ref().map(Secret::expose);
        let texts = [Some(self.endpoint.expose()), secret, keyword.as_deref(), name.as_deref()];
        let mentioned = mentions.mobiles.iter().chain(&mentions.users).map(String::as_str);
        let lengths = texts.into_iter().flatten().chain(mentioned);
        lengths.map(|text| text.len() * 6 + QUOTES_AND_COMMA).sum::<usize>() + NAMES_OF_FIELDS
    }

    /// Decodes a record. A text without JSON escapes, such as every webhook, is borrowed, so no
    /// further copy of it exists.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let wire: WireV1<'_> = serde_json::from_slice(bytes)?;
        Ok(Self {
            endpoint: Endpoint::new(wire.endpoint.into_owned()),
            secret: wire.secret.map(|secret| Secret::new(secret.into_owned())),
            private: PrivateOptions {
                keyword: wire.keyword,
                name: wire.name,
                mentions: Mentions { all: wire.all, mobiles: wire.mobiles, users: wire.users },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_of_a_record_never_grows_however_many_it_mentions() {
        for (count, letter) in [(0, "a"), (1, "\u{1}"), (600, "\u{1}"), (600, "\""), (5000, "1")] {
            let mentioned = vec![letter.repeat(11); count];
            let fields = SealedFields {
                endpoint: Endpoint::new(format!("https://open.feishu.cn/{}", "x".repeat(2000))),
                secret: Some(Secret::new("\\".repeat(1024))),
                private: PrivateOptions {
                    keyword: Some(letter.repeat(64)),
                    name: Some(letter.repeat(128)),
                    mentions: Mentions { all: true, mobiles: mentioned.clone(), users: mentioned },
                },
            };
            let allocated = Vec::<u8>::with_capacity(fields.encoded_bytes_max()).capacity();
            assert_eq!(fields.encode().unwrap().capacity(), allocated, "{count} of {letter:?}");
        }
    }
}
