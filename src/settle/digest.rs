//! The hash of the parts of a key or a mark.
//!
//! Owns its form, which is in the ledger's files and must not change.
//!
//! Not here: which parts a key has (`identity.rs`), and which a mark has (`progress_mark.rs`).

use sha2::{Digest, Sha256};

/// The hash of these parts, as one of this kind. The length of each part counts.
pub(super) fn digest(kind: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new_with_prefix(kind);
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let full = hash.finalize();
    let mut short = [0; 16];
    short.iter_mut().zip(full).for_each(|(to, from)| *to = from);
    short
}
