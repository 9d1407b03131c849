//! Robots.
//!
//! Owns the id that identifies a robot without revealing its endpoint.
//!
//! Not here: how the id is computed (`crypto/keys.rs`).

use super::{hex_id::hex_id, id::quoted};

/// The identity of a robot: a keyed hash of its normalised endpoint. Two subscriptions with one
/// webhook are one robot with one quota. Without the key, the id does not reveal the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RobotId([u8; 16]);

/// The text is not the id of a robot.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a robot id: it has 32 hexadecimal digits", quoted(.0))]
pub struct InvalidRobotId(pub String);

hex_id!(RobotId, InvalidRobotId);

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
