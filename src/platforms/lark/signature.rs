//! The signature of a request to Lark.
//!
//! Owns it, as Lark documents it.
//!
//! Not here: what the request says (`message.rs`).

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::message::BODY_BYTES_MAX;
use crate::{
    domain::Secret,
    platforms::{
        body::{Unsendable, bounded, object},
        profile::SigningContext,
    },
};

/// Adds the signature.
pub(super) fn sign_request(
    body: Map<String, Value>,
    context: &SigningContext<'_>,
) -> Result<(Secret, Vec<u8>), Unsendable> {
    let mut signed = Map::new();
    if let Some(secret) = context.secret {
        let seconds = context.now.unix_seconds();
        signed = object([
            ("timestamp", seconds.to_string().into()),
            ("sign", sign(seconds, secret.expose()).into()),
        ]);
    }
    let body = body.into_iter().filter(|(name, _)| !signed.contains_key(name)).collect::<Vec<_>>();
    signed.extend(body);
    let url = Secret::new(context.endpoint.expose().to_owned());
    Ok((url, bounded(&signed, BODY_BYTES_MAX)?))
}

/// base64(HMAC-SHA256(key = seconds, line feed, secret; message = empty)). DingTalk's signed
/// message is the key here.
fn sign(seconds: u64, secret: &str) -> String {
    let key = Secret::concat(&[&seconds.to_string(), "\n", secret]);
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else {
        return String::new();
    };
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_documents() {
        for (seconds, secret, signature) in [
            (1_599_360_473, "demo", "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="),
            (
                1_664_944_271,
                "zJlvvSoQWuukwGnCzBVtve",
                "jW2NVlpvB/5izBjoq8Kmrt6eddAeHPz2BSCfiXo3v9U=",
            ),
            (1_760_000_000, "testsecret", "pHiti/pOqeEdnVpsqZDqL8amxzEdoxNH1f9ZgJwtpTo="),
            (1_710_000_000, "secret", "jWsBkWnzlRKtaP+iZgwraSojMWik4cJR7aysApQZuoA="),
            (1_700_000_000, "testsecret", "AOc8oJ7//5OlQlfWC3nRL0R+IkuzcD1FKcAyibRK9Q8="),
        ] {
            assert_eq!(sign(seconds, secret), signature);
        }
    }
}
