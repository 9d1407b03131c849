//! Keys and encryption: the master key, derived keys, data keys, encrypted records.
//!
//! Owns the purpose of each key. It is the only module that uses the ciphers.
//!
//! Not here: where encrypted records and wrapped keys are stored (`store/`).
//!
//! ```text
//! master key ─HKDF─► "wrap"   wraps the data keys          (XChaCha20-Poly1305)
//!                  ► "robot"  computes robot ids           (HMAC-SHA-256, 16 bytes; the store
//!                             keeps the first master key's)
//!                  ► "check"  recognises the right key     (16 bytes, may be stored)
//!                  ► "id"     identifies the key           (8 bytes, may be stored)
//! data key ──────────────────► encrypts one record         (XChaCha20-Poly1305)
//! ```

mod keys;
mod master;
mod sealer;
mod transfer;

pub use keys::{KeyCheck, KeyId, Keys, RobotKey};
pub use master::{KeyError, KeySettings, MasterKey};
pub use sealer::{
    Binding, DataKey, NOT_SEALED, SealedRecord, UnsealError, WRAPPED_BYTES, WRAPPED_MASTER_BYTES,
    WRAPPED_ROBOT_BYTES, WrappedKey,
};
pub use transfer::TransferKey;
