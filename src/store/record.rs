//! The sealed half of a subscription: what may only be read with its key. Owns its form on disk, by version.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::{Endpoint, Mentions, Secret};

/// What is sealed.
pub(super) struct Record {
    pub(super) endpoint: Endpoint,
    pub(super) secret: Option<Secret>,
    pub(super) keyword: Option<String>,
    pub(super) name: Option<String>,
    pub(super) mentions: Mentions,
}

/// Version 1, as JSON under the seal: names instead of places, so that a later version can add to it.
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

impl Record {
    /// A record of nothing but a webhook.
    pub(super) fn of(endpoint: Endpoint) -> Self {
        Self { endpoint, secret: None, keyword: None, name: None, mentions: Mentions::default() }
    }

    /// In the form that is sealed. Room is made at once, so that no copy is left behind by growing.
    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let wire = WireV1 {
            endpoint: self.endpoint.expose().into(),
            secret: self.secret.as_ref().map(|secret| secret.expose().into()),
            keyword: self.keyword.clone(),
            name: self.name.clone(),
            all: self.mentions.all,
            mobiles: self.mentions.mobiles.clone(),
            users: self.mentions.users.clone(),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        serde_json::to_writer(&mut *bytes, &wire)?;
        Ok(bytes)
    }

    /// From that form. What needs no escaping in JSON, as every webhook, is borrowed: no other copy of it is made.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let wire: WireV1<'_> = serde_json::from_slice(bytes)?;
        Ok(Self {
            endpoint: Endpoint::new(wire.endpoint.into_owned()),
            secret: wire.secret.map(|secret| Secret::new(secret.into_owned())),
            keyword: wire.keyword,
            name: wire.name,
            mentions: Mentions { all: wire.all, mobiles: wire.mobiles, users: wire.users },
        })
    }
}
