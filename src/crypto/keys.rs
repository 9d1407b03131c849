//! Keys derived from the master key, each for one purpose.
//!
//! Owns the labels of the derivation, which are part of the store's format.
//!
//! Not here: what the keys encrypt (`sealer.rs`).

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::MasterKey;
use crate::domain::{Endpoint, RobotId};

/// Identifies a master key. It may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(pub [u8; 8]);

impl std::fmt::Display for KeyId {
    /// 16 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

/// Recognises the right master key at start. It may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyCheck(pub [u8; 16]);

/// The key of the robot ids. It survives a rotation of the master key, so that a robot keeps its id
/// and with it its quota. It reveals no endpoint; it only lets its holder test a guess.
#[derive(Clone)]
pub struct RobotKey(pub(super) Zeroizing<[u8; ROBOT_KEY_BYTES]>);

/// The block size of SHA-256: HMAC uses a key of this length unchanged.
pub(super) const ROBOT_KEY_BYTES: usize = 64;

/// The keys derived from one master key.
#[derive(Clone)]
pub struct Keys {
    pub(super) wrap: XChaCha20Poly1305,
    robot: Hmac<Sha256>,
    pub(super) robot_key: RobotKey,
    id: KeyId,
    check: KeyCheck,
}

impl Keys {
    /// Derives all keys. The labels are part of the format: a changed label gives another key.
    #[must_use]
    pub fn derive(master: &MasterKey) -> Self {
        let hkdf = Hkdf::<Sha256>::new(Some(b"roomcast"), master.bytes());
        let wrap = expand::<32>(&hkdf, b"roomcast/1/wrap");
        let robot = RobotKey(expand(&hkdf, b"roomcast/1/robot"));
        Self {
            wrap: XChaCha20Poly1305::new((&*wrap).into()),
            robot: Hmac::new((&*robot.0).into()),
            robot_key: robot,
            id: KeyId(*expand(&hkdf, b"roomcast/1/id")),
            check: KeyCheck(*expand(&hkdf, b"roomcast/1/check")),
        }
    }

    /// The same keys, with this key for robot ids instead of the derived one.
    #[must_use]
    pub fn with_robot_key(self, key: RobotKey) -> Self {
        Self { robot: Hmac::new((&*key.0).into()), robot_key: key, ..self }
    }

    /// The key of the robot ids.
    #[must_use]
    pub fn robot_key(&self) -> RobotKey {
        self.robot_key.clone()
    }

    /// The id of the master key.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The check value of the master key.
    #[must_use]
    pub const fn check(&self) -> KeyCheck {
        self.check
    }

    /// The id of the robot behind a normalised endpoint. Without the key, a guessed endpoint cannot
    /// be tested against it.
    #[must_use]
    pub fn robot_id(&self, endpoint: &Endpoint) -> RobotId {
        let mut mac = self.robot.clone();
        mac.update(endpoint.expose().as_bytes());
        let full = mac.finalize().into_bytes();
        let mut short = [0; 16];
        short.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        RobotId::from_bytes(short)
    }
}

/// The key for data that moves from one machine to another.
pub(super) fn transfer_key(key: &MasterKey) -> Zeroizing<[u8; 32]> {
    expand(&Hkdf::<Sha256>::new(Some(b"roomcast"), key.bytes()), b"roomcast/2/transfer")
}

fn expand<const N: usize>(hkdf: &Hkdf<Sha256>, label: &[u8]) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    let fits = hkdf.expand(label, &mut *key);
    // HKDF-SHA-256 yields up to 8,160 bytes; no key here is longer than 64.
    debug_assert!(fits.is_ok());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(byte: u8) -> Keys {
        Keys::derive(&MasterKey::from_bytes([byte; 32]))
    }

    #[test]
    fn the_same_master_key_gives_the_same_keys_and_another_gives_others() {
        assert_eq!(keys(1).check(), keys(1).check());
        assert_ne!(keys(1).check(), keys(2).check());
        assert_ne!(keys(1).id(), keys(2).id());
    }

    #[test]
    fn a_robot_is_named_after_its_endpoint_under_the_key() {
        let (one, two) = (Endpoint::new("https://a/1".into()), Endpoint::new("https://a/2".into()));
        assert_eq!(keys(1).robot_id(&one), keys(1).robot_id(&one));
        assert_ne!(keys(1).robot_id(&one), keys(1).robot_id(&two));
        assert_ne!(keys(1).robot_id(&one), keys(2).robot_id(&one));
    }

    #[test]
    fn the_derivation_is_part_of_the_format_and_does_not_change() {
        assert_eq!(hex::encode(keys(7).check().0), "fb64b93d6076fae6cc5971aaa42f979d");
        assert_eq!(
            keys(7).robot_id(&Endpoint::new("https://a/1".into())).to_string(),
            "2f2da99bd07f2a2e6618ff985f9ff3ab"
        );
    }
}
