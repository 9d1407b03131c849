//! Keys and sealing: the master key, what is derived from it, data keys, sealed records. The only room that names the ciphers.
//!
//! Owns which key does what. Where sealed things are kept is `store/`'s matter.
//!
//! ```text
//! master key ─HKDF─► "wrap"   wraps the data keys        (XChaCha20-Poly1305)
//!                  ► "robot"  names robots               (HMAC-SHA-256, 16 bytes); the store keeps the first master key's
//!                  ► "check"  recognises the right key   (16 bytes, may be stored)
//!                  ► "id"     names the key              (8 bytes, may be stored)
//! data key ──────────────────► seals one record          (XChaCha20-Poly1305)
//! ```

mod keys;
mod master;
mod sealer;
mod transfer;

pub use keys::{KeyCheck, KeyId, Keys, RobotKey};
pub use master::{KeyError, MasterKey};
pub use sealer::{
    Binding, DataKey, NotOpened, SealedRecord, WRAPPED_BYTES, WRAPPED_MASTER_BYTES, WRAPPED_ROBOT_BYTES, WrappedKey,
};
pub use transfer::TransferKey;
