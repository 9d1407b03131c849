//! Advice that several platforms give for codes of their own.
//!
//! Owns those sentences.
//!
//! Not here: which code gets which advice (`advice.rs` of each platform).

pub(super) const SWITCHED_OFF: &str = "the robot is switched off: \
    switch it on in the group's settings, redrive; or remove the subscription";

pub(super) const TOO_LARGE: &str =
    "the message is larger than the platform takes: publish a shorter one, discard this";
