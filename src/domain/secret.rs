//! Credentials. Owns the types that cannot be printed, compared by accident, or serialised.

use secrecy::{ExposeSecret, SecretString};

/// A signing secret. It has neither `Debug` nor `Display` and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a secret into custody.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
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
