//! Credentials. Owns the types that cannot be printed, compared by accident, or serialised.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroize;

/// A signing secret. It has neither `Debug` nor `Display` and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a secret into custody.
    #[must_use]
    pub fn new(mut text: String) -> Self {
        if text.capacity() == text.len() {
            return Self(SecretString::from(text));
        }
        // Giving up the room that is left over may move the text, and would leave it where it was.
        let exact = SecretString::from(Box::<str>::from(text.as_str()));
        text.zeroize();
        Self(exact)
    }

    /// A secret made of these parts. It is written once, so that no shorter copy of it is left behind.
    #[must_use]
    pub fn concat(parts: &[&str]) -> Self {
        Self::new(parts.concat())
    }

    /// Shows the secret to the one place that needs it: signing, sealing, building the request.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A robot's webhook URL in its normalised form. Who knows it can post to the chat: it is a credential.
#[derive(Clone)]
pub struct Endpoint(Secret);

impl Endpoint {
    /// Takes an endpoint into custody. The caller has checked and normalised it for its platform.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self(Secret::new(url))
    }

    /// Shows the URL to the one place that needs it: sealing, naming the robot, building the request.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}
