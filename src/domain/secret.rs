//! Credentials.
//!
//! Owns the types that cannot be printed, serialised, or compared by accident.
//!
//! Not here: encryption at rest (`crypto/sealer.rs`).

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroize;

/// A signing secret. It has neither `Debug` nor `Display` and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(mut text: String) -> Self {
        if text.capacity() == text.len() {
            return Self(SecretString::from(text));
        }
        // Shrinking the buffer may move the text and leave a copy behind. So the text is copied,
        // and the old buffer is wiped.
        let exact = SecretString::from(Box::<str>::from(text.as_str()));
        text.zeroize();
        Self(exact)
    }

    /// A secret made of these parts. It is written at once, so that no shorter copy is left in
    /// memory.
    #[must_use]
    pub fn concat(parts: &[&str]) -> Self {
        Self::new(parts.concat())
    }

    /// The secret as text, for the code that needs it: signing, sealing, building the request.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A robot's webhook URL in its normalised form. It is a credential: its holder can post to the
/// chat.
#[derive(Clone)]
pub struct Endpoint(Secret);

impl Endpoint {
    /// Wraps a URL. The caller has checked and normalised it for its platform.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self(Secret::new(url))
    }

    /// The URL as text, for the code that needs it: sealing, computing the robot id, building the
    /// request.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}
