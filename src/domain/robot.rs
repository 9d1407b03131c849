//! Robots.
//!
//! Owns the id that identifies a robot without revealing its endpoint.
//!
//! Not here: how the id is computed (`crypto/keys.rs`).

use std::{fmt, str::FromStr};

use super::id::quoted;

/// The identity of a robot: a keyed hash of its normalised endpoint. Two subscriptions with one
/// webhook are one robot with one quota. Without the key, the id does not reveal the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RobotId([u8; 16]);

/// The text is not the id of a robot.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a robot id: it has 32 hexadecimal digits", quoted(.0))]
pub struct InvalidRobotId(pub String);

impl RobotId {
    /// From the bytes of the keyed hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the keyed hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for RobotId {
    /// 32 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for RobotId {
    type Err = InvalidRobotId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text.trim(), &mut bytes)
            .map_err(|_| InvalidRobotId(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_robot_is_read_back_from_its_text() {
        let robot = RobotId::from_bytes(*b"0123456789abcdef");
        assert_eq!(robot.to_string().parse(), Ok(robot));
        let says = "abc".parse::<RobotId>().unwrap_err().to_string();
        assert_eq!(says, "\"abc\" is not a robot id: it has 32 hexadecimal digits");
    }
}
