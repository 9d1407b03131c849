//! Encryption of a record under its own data key, and of that key under the master key.
//!
//! Owns the bindings: no ciphertext decrypts in another place, for another record, or as another
//! version.
//!
//! Not here: where ciphertexts are stored (`store/`).

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Generate, Payload},
};
use zeroize::Zeroizing;

use super::{KeyId, Keys, MasterKey, RobotKey, keys::ROBOT_KEY_BYTES, master::KEY_BYTES};

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const DATA_KEY_BYTES: usize = 32;

/// The length of a wrapped data key: nonce, key, tag.
pub const WRAPPED_BYTES: usize = NONCE_BYTES + DATA_KEY_BYTES + TAG_BYTES;

/// The length of a wrapped key of robot ids.
pub const WRAPPED_ROBOT_BYTES: usize = NONCE_BYTES + ROBOT_KEY_BYTES + TAG_BYTES;

/// The length of a wrapped master key.
pub const WRAPPED_MASTER_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// The key of one record. It is wiped when dropped.
pub struct DataKey(Zeroizing<[u8; DATA_KEY_BYTES]>);

/// A data key, encrypted under the master key.
#[derive(Clone, Copy)]
pub struct WrappedKey(pub [u8; WRAPPED_BYTES]);

/// An encrypted record: nonce, ciphertext, tag.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedRecord(pub Vec<u8>);

/// The place to which a record and its key are bound. Neither decrypts in another place, for
/// another record, or as an older version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The record's id.
    pub record: [u8; 16],
    /// The slot that holds its key.
    pub slot: u32,
    /// Which of the slot's keys it is; random.
    pub generation: u64,
}

/// The fault of a subscription that the cipher refuses to seal.
pub const NOT_SEALED: &str = "a subscription could not be sealed";

/// It does not decrypt: another key, another place, or changed bytes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not open with this key")]
pub struct UnsealError;

impl Binding {
    fn bytes(&self, label: &[u8], more: &[u8]) -> Vec<u8> {
        let parts: [&[u8]; 5] =
            [label, &self.record, &self.slot.to_be_bytes(), &self.generation.to_be_bytes(), more];
        parts.concat()
    }
}

impl DataKey {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        Self(Zeroizing::new(Generate::generate()))
    }

    /// Encrypts a record. `head` is the plain text stored beside it, which is authenticated as
    /// well.
    pub fn seal(
        &self,
        binding: &Binding,
        head: &[u8],
        plain: &[u8],
    ) -> Result<SealedRecord, UnsealError> {
        let cipher = XChaCha20Poly1305::new((&*self.0).into());
        seal(&cipher, &binding.bytes(b"roomcast/1/record", head), plain).map(SealedRecord)
    }

    /// Decrypts a record.
    pub fn open(
        &self,
        binding: &Binding,
        head: &[u8],
        sealed: &SealedRecord,
    ) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let cipher = XChaCha20Poly1305::new((&*self.0).into());
        open(&cipher, &binding.bytes(b"roomcast/1/record", head), &sealed.0)
    }
}

impl Keys {
    /// Encrypts a data key for its slot.
    pub fn wrap(&self, binding: &Binding, key: &DataKey) -> Result<WrappedKey, UnsealError> {
        let bytes = seal(&self.wrap, &self.wrap_binding(binding), &*key.0)?;
        bytes.try_into().map(WrappedKey).map_err(|_| UnsealError)
    }

    /// Decrypts the data key of a slot.
    pub fn unwrap_key(
        &self,
        binding: &Binding,
        wrapped: &WrappedKey,
    ) -> Result<DataKey, UnsealError> {
        let bytes = open(&self.wrap, &self.wrap_binding(binding), &wrapped.0)?;
        let key = <[u8; DATA_KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| UnsealError)?;
        Ok(DataKey(Zeroizing::new(key)))
    }

    /// Encrypts the key of the robot ids.
    pub fn wrap_robot_key(&self) -> Result<[u8; WRAPPED_ROBOT_BYTES], UnsealError> {
        let bytes = seal(&self.wrap, &self.own_binding(b"roomcast/2/robots"), &*self.robot_key.0)?;
        bytes.try_into().map_err(|_| UnsealError)
    }

    /// Decrypts the key of the robot ids.
    pub fn unwrap_robot_key(
        &self,
        wrapped: &[u8; WRAPPED_ROBOT_BYTES],
    ) -> Result<RobotKey, UnsealError> {
        let bytes = open(&self.wrap, &self.own_binding(b"roomcast/2/robots"), wrapped)?;
        let key = <[u8; ROBOT_KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| UnsealError)?;
        Ok(RobotKey(Zeroizing::new(key)))
    }

    /// Encrypts another master key, for the period in which both open the store.
    pub fn wrap_master(
        &self,
        other: &MasterKey,
    ) -> Result<[u8; WRAPPED_MASTER_BYTES], UnsealError> {
        let bytes = seal(&self.wrap, &self.own_binding(b"roomcast/2/master"), other.bytes())?;
        bytes.try_into().map_err(|_| UnsealError)
    }

    /// Decrypts the other master key.
    pub fn unwrap_master(
        &self,
        wrapped: &[u8; WRAPPED_MASTER_BYTES],
    ) -> Result<MasterKey, UnsealError> {
        let bytes = open(&self.wrap, &self.own_binding(b"roomcast/2/master"), wrapped)?;
        <[u8; KEY_BYTES]>::try_from(bytes.as_slice())
            .map(MasterKey::from_bytes)
            .map_err(|_| UnsealError)
    }

    fn own_binding(&self, label: &[u8]) -> Vec<u8> {
        let KeyId(id) = self.id();
        [label, &id].concat()
    }

    fn wrap_binding(&self, binding: &Binding) -> Vec<u8> {
        let KeyId(id) = self.id();
        binding.bytes(b"roomcast/1/key", &id)
    }
}

pub(super) fn seal(
    cipher: &XChaCha20Poly1305,
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, UnsealError> {
    let nonce = XNonce::generate();
    let mut sealed = nonce.to_vec();
    // It fails only for a record of more than 256 GiB.
    sealed.extend(cipher.encrypt(&nonce, Payload { msg: plain, aad }).map_err(|_| UnsealError)?);
    Ok(sealed)
}

pub(super) fn open(
    cipher: &XChaCha20Poly1305,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES).ok_or(UnsealError)?;
    let nonce = XNonce::try_from(nonce).map_err(|_| UnsealError)?;
    cipher
        .decrypt(&nonce, Payload { msg: ciphertext, aad })
        .map(Zeroizing::new)
        .map_err(|_| UnsealError)
}

#[cfg(test)]
mod tests {
    use super::{super::MasterKey, *};

    const HERE: Binding = Binding { record: [1; 16], slot: 7, generation: 3 };

    fn keys() -> Keys {
        Keys::derive(&MasterKey::from_bytes([9; 32]))
    }

    #[test]
    fn a_record_opens_with_its_key_in_its_place_and_nowhere_else() {
        let key = DataKey::generate();
        let sealed = key.seal(&HERE, b"head", b"https://example/secret").unwrap();
        assert_eq!(
            key.open(&HERE, b"head", &sealed).unwrap().as_slice(),
            b"https://example/secret"
        );
        for elsewhere in [
            Binding { record: [2; 16], ..HERE },
            Binding { slot: 8, ..HERE },
            Binding { generation: 4, ..HERE },
        ] {
            assert!(key.open(&elsewhere, b"head", &sealed).is_err(), "{elsewhere:?}");
        }
        assert!(key.open(&HERE, b"other", &sealed).is_err());
        assert!(DataKey::generate().open(&HERE, b"head", &sealed).is_err());
        for at in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[at] ^= 1;
            assert!(key.open(&HERE, b"head", &changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn the_plain_text_is_not_in_the_sealed_record_and_no_two_are_alike() {
        let key = DataKey::generate();
        let (one, two) = (
            key.seal(&HERE, b"", b"marker-marker").unwrap(),
            key.seal(&HERE, b"", b"marker-marker").unwrap(),
        );
        assert!(one.0 != two.0);
        assert!(!one.0.windows(6).any(|window| window == b"marker"));
    }

    #[test]
    fn robots_and_the_other_master_key_are_unwrapped_under_their_master_key_only() {
        let (keys, other) = (keys(), Keys::derive(&MasterKey::from_bytes([8; 32])));
        let robots = keys.wrap_robot_key().unwrap();
        assert!(other.unwrap_robot_key(&robots).is_err());
        let endpoint = crate::domain::Endpoint::new("https://a/1".to_owned());
        let renamed = other.with_robot_key(keys.unwrap_robot_key(&robots).unwrap());
        assert_eq!(renamed.robot_id(&endpoint), keys.robot_id(&endpoint));
        let wrapped = keys.wrap_master(&MasterKey::from_bytes([7; 32])).unwrap();
        assert_eq!(keys.unwrap_master(&wrapped).unwrap().bytes(), &[7; 32]);
        assert!(renamed.unwrap_master(&wrapped).is_err());
    }

    #[test]
    fn a_wrapped_key_opens_under_its_master_key_and_binding_only() {
        let (keys, key) = (keys(), DataKey::generate());
        let wrapped = keys.wrap(&HERE, &key).unwrap();
        let sealed = key.seal(&HERE, b"", b"x").unwrap();
        let unwrapped = keys.unwrap_key(&HERE, &wrapped).unwrap();
        assert_eq!(unwrapped.open(&HERE, b"", &sealed).unwrap().as_slice(), b"x");
        assert!(keys.unwrap_key(&Binding { slot: 1, ..HERE }, &wrapped).is_err());
        let other = Keys::derive(&MasterKey::from_bytes([8; 32]));
        assert!(other.unwrap_key(&HERE, &wrapped).is_err());
    }
}
