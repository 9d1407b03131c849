//! How a credential is written and read in the API: as plain text.
//!
//! Owns which fields of a request may carry a credential: those that name one of
//! these modules. Responses have no such field.
//!
//! Not here: how a secret stays out of logs (`domain::Secret`).

pub(super) mod required {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::Secret;

    pub(in crate::admin::wire) fn serialize<S: Serializer>(
        secret: &Secret,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(in crate::admin::wire) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

pub(super) mod optional {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::Secret;

    #[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
    pub(in crate::admin::wire) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => serializer.serialize_some(secret.expose()),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::admin::wire) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        Option::<String>::deserialize(deserializer).map(|text| text.map(Secret::new))
    }
}

/// A field that was sent: `null` counts as an empty secret.
pub(super) mod present {
    pub(in crate::admin::wire) use super::optional::serialize;
    use serde::Deserializer;

    use super::optional;
    use crate::domain::Secret;

    pub(in crate::admin::wire) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        optional::deserialize(deserializer)
            .map(|secret| Some(secret.unwrap_or_else(|| Secret::new(String::new()))))
    }
}
