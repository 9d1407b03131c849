//! Structs that are read from objects alone.
//!
//! serde reads a struct from a list too, field by field in the order of their declaration. Then
//! `[true]` would mention all members of a chat.
//!
//! Owns the refusal of such lists.
//!
//! Not here: the fields of events, which no derived reader reads (`fanout/wire.rs`).

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// Reads a struct by the names of its fields. A list is refused.
pub fn by_name<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_map(ByName(PhantomData))
}

struct ByName<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ByName<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Mentions;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Pair {
        one: u32,
        two: Option<u32>,
    }

    #[test]
    fn a_struct_is_read_by_the_names_of_its_fields_and_never_by_their_order() {
        let read = |json: &str| by_name::<Pair, _>(&mut serde_json::Deserializer::from_str(json));
        assert_eq!(read(r#"{"two": 2, "one": 1}"#).unwrap(), Pair { one: 1, two: Some(2) });
        for refused in ["[1, 2]", "[]", "7", r#""x""#, "null"] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn no_list_mentions_all_members_by_its_first_value() {
        let read = |json: &str| serde_json::from_str::<Mentions>(json);
        assert!(read(r#"{"all": true}"#).unwrap().all);
        assert!(read("[true]").is_err() && read(r#"[true, ["138"], []]"#).is_err());
        assert!(read(r#"{"everyone": true}"#).is_err(), "another name is a mistake");
    }
}
