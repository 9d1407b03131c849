//! Sealing what moves from one machine to another, under a key file that both have.

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use zeroize::Zeroizing;

use super::{
    MasterKey, NotOpened,
    keys::transfer_key,
    sealer::{open, seal},
};

/// To what it is bound: it opens as nothing else.
const LABEL: &[u8] = b"roomcast/2/transfer";

/// Seals and opens what is moved. Wiped when dropped.
pub struct TransferKey(XChaCha20Poly1305);

impl TransferKey {
    /// Derives it from what a key file holds; that file need not be any store's master key.
    #[must_use]
    pub fn derive(key: &MasterKey) -> Self {
        Self(XChaCha20Poly1305::new((&*transfer_key(key)).into()))
    }

    /// Seals.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, NotOpened> {
        seal(&self.0, LABEL, plain)
    }

    /// Opens.
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        open(&self.0, LABEL, sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_with_the_same_key_file_only() {
        let [one, other] = [1, 2].map(|byte| TransferKey::derive(&MasterKey::from_bytes([byte; 32])));
        let sealed = one.seal(b"marker-marker").unwrap();
        assert_eq!(one.open(&sealed).unwrap().as_slice(), b"marker-marker");
        assert!(other.open(&sealed).is_err() && one.open(&sealed[1..]).is_err());
        assert!(!sealed.windows(6).any(|window| window == b"marker"));
    }
}
