//! Encryption of data that moves from one machine to another, under a key file that both have.
//!
//! Owns the binding that keeps such data apart from everything in the store.
//!
//! Not here: the export (`admin/subscriptions.rs`) and the import (`cli/import_lines.rs`).

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use zeroize::Zeroizing;

use super::{
    MasterKey, UnsealError,
    keys::transfer_key,
    sealer::{open, seal},
};

/// The binding: such data decrypts in no other role.
const LABEL: &[u8] = b"roomcast/2/transfer";

/// Encrypts and decrypts moved data. It is wiped when dropped.
pub struct TransferKey(XChaCha20Poly1305);

impl TransferKey {
    /// Derives the key from the content of a key file, which need not be the master key of any
    /// store.
    #[must_use]
    pub fn derive(key: &MasterKey) -> Self {
        Self(XChaCha20Poly1305::new((&*transfer_key(key)).into()))
    }

    /// Encrypts data.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, UnsealError> {
        seal(&self.0, LABEL, plain)
    }

    /// Decrypts data.
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        open(&self.0, LABEL, sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_opens_with_the_same_key_file_only() {
        let [one, other] =
            [1, 2].map(|byte| TransferKey::derive(&MasterKey::from_bytes([byte; 32])));
        let sealed = one.seal(b"marker-marker").unwrap();
        assert_eq!(one.open(&sealed).unwrap().as_slice(), b"marker-marker");
        assert!(other.open(&sealed).is_err() && one.open(&sealed[1..]).is_err());
        assert!(!sealed.windows(6).any(|window| window == b"marker"));
    }
}
