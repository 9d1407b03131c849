//! The signature of a request to DingTalk, and the id by which DingTalk drops repeats.
//!
//! Owns both, as DingTalk documents them.
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
        body::{Unsendable, bounded},
        profile::SigningContext,
    },
};

/// Adds the signature, and `msgUuid`, by which DingTalk drops repeats.
pub(super) fn sign_request(
    mut body: Map<String, Value>,
    context: &SigningContext<'_>,
) -> Result<(Secret, Vec<u8>), Unsendable> {
    body.entry("msgUuid").or_insert_with(|| (context.repeat_id)().to_string().into());
    let signature = context.secret.map_or_else(String::new, |secret| {
        let millis = context.now.unix_millis();
        let signature = sign(millis, secret.expose());
        let encoded: String = url::form_urlencoded::byte_serialize(signature.as_bytes()).collect();
        format!("&timestamp={millis}&sign={encoded}")
    });
    let url = Secret::concat(&[context.endpoint.expose(), &signature]);
    Ok((url, bounded(&body, BODY_BYTES_MAX)?))
}

/// base64(HMAC-SHA256(key = secret, message = milliseconds, line feed, secret)).
fn sign(millis: u64, secret: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{millis}\n").as_bytes());
    mac.update(secret.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Endpoint, Timestamp};

    #[test]
    fn signatures_are_those_of_the_documents() {
        for (millis, secret, signature) in [
            (1_577_262_236_757, "this is secret", "hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM="),
            (1_577_262_236_757, "this is a secret", "DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA="),
            (
                1_700_000_000_000,
                "SEC0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd",
                "8SZas7RY4E7wuOlgLfjLwHSKZpyUEdXdLvFYSDZiiFw=",
            ),
            (1_760_000_000_000, "SECtest", "6IoghBKw49dqVHyzlGNfS7+DTE6hHTbyKMslbn3uzKI="),
            (1_700_000_000_001, "SECtest", "r4CWp/Dz+Ng0sbTjH1vB0Fr+uQ2fn831mssaN6/C05I="),
        ] {
            assert_eq!(sign(millis, secret), signature);
        }
    }

    #[test]
    fn a_signature_is_url_encoded_once() {
        let endpoint =
            Endpoint::new("https://oapi.dingtalk.com/robot/send?access_token=T".to_owned());
        let secret = Secret::new("SECtest".to_owned());
        let now = Timestamp::from_unix_millis(1_700_000_000_001);
        let prepared = sign_request(
            Map::new(),
            &SigningContext { now, ..SigningContext::new(&endpoint, Some(&secret)) },
        )
        .unwrap_or_else(|_| panic!());
        assert_eq!(
            prepared.0.expose(),
            "https://oapi.dingtalk.com/robot/send?access_token=T&timestamp=1700000000001\
             &sign=r4CWp%2FDz%2BNg0sbTjH1vB0Fr%2BuQ2fn831mssaN6%2FC05I%3D"
        );
    }
}
