//! Ids of 16 bytes, written as 32 hexadecimal digits.
//!
//! Owns their text form.
//!
//! Not here: the ids themselves (`robot.rs`, `subscription.rs`).

/// Implements the text form of an id, and the access to its bytes.
macro_rules! hex_id {
    ($id:ident, $invalid:ident) => {
        impl $id {
            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes of the id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl std::fmt::Display for $id {
            /// 32 lower-case hexadecimal digits.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl std::str::FromStr for $id {
            type Err = $invalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text.trim(), &mut bytes)
                    .map_err(|_| $invalid(text.to_owned()))?;
                Ok(Self(bytes))
            }
        }
    };
}

pub(super) use hex_id;
