//! How a credential is written and read in a request: as plain text.
//!
//! Owns which fields may carry a credential: those that name one of these modules. Responses have
//! no such field.
//!
//! Not here: how a secret stays out of logs (`secret.rs`).

use super::Secret;

/// A credential as a request has it: a [`Secret`], and never an [`Endpoint`](super::Endpoint),
/// which only the check of a webhook makes.
pub trait PlainCredential: Sized {
    /// The credential in this text.
    fn of(text: Secret) -> Self;
    /// The text of the credential.
    fn text(&self) -> &Secret;
}

impl PlainCredential for Secret {
    fn of(text: Secret) -> Self {
        text
    }

    fn text(&self) -> &Secret {
        self
    }
}

/// A credential that must be there.
pub(crate) mod required {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{PlainCredential, Secret};

    pub(crate) fn serialize<W: PlainCredential, S: Serializer>(
        credential: &W,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(credential.text().expose())
    }

    pub(crate) fn deserialize<'de, W: PlainCredential, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<W, D::Error> {
        String::deserialize(deserializer).map(|text| W::of(Secret::new(text)))
    }
}

/// A credential that may be missing or `null`.
pub(crate) mod optional {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{PlainCredential, Secret};

    pub(crate) fn serialize<W: PlainCredential, S: Serializer>(
        credential: &Option<W>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match credential {
            Some(credential) => serializer.serialize_some(credential.text().expose()),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, W: PlainCredential, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<W>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(text.map(|text| W::of(Secret::new(text))))
    }
}

/// A secret that a patch names: `null` or an empty text removes it.
pub(crate) mod removable {
    use serde::{Deserializer, Serializer};

    use super::{Secret, optional};

    pub(crate) fn serialize<S: Serializer>(
        secret: &Option<Option<Secret>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => optional::serialize(secret, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<Secret>>, D::Error> {
        let secret: Option<Secret> = optional::deserialize(deserializer)?;
        Ok(Some(secret.filter(|secret| !secret.expose().is_empty())))
    }
}
