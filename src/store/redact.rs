//! The masked form of an endpoint, for operators.
//!
//! Owns how much of a credential is shown: enough to tell two endpoints apart, too little to use
//! one.
//!
//! Not here: the places that show it (`listing.rs`).

use crate::domain::Endpoint;

/// The number of characters shown at the end of a credential.
const SHOWN: usize = 4;
/// A shorter credential is hidden completely.
const LENGTH_MIN: usize = 16;

/// Keeps host and path. Masks the credential, which is the value of the query or the last part of
/// the path.
pub(super) fn redact(endpoint: &Endpoint) -> String {
    let url = endpoint.expose();
    let parts = match url.split_once('?') {
        Some((path, query)) => {
            query.split_once('=').map(|(name, value)| (format!("{path}?{name}="), value))
        }
        None => url.rsplit_once('/').map(|(path, last)| (format!("{path}/"), last)),
    };
    parts.map_or_else(
        || "****".to_owned(),
        |(open, credential)| open + &redact_credential(credential),
    )
}

fn redact_credential(credential: &str) -> String {
    let length = credential.chars().count();
    if length < LENGTH_MIN {
        return "****".to_owned();
    }
    let end: String = credential.chars().skip(length - SHOWN).collect();
    format!("****{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_credential_is_shown_and_nothing_of_a_short_one() {
        for (endpoint, masked) in [
            (
                "https://oapi.dingtalk.com/robot/send\
                 ?access_token=0123456789abcdef0123456789abcdef",
                "https://oapi.dingtalk.com/robot/send?access_token=****cdef",
            ),
            (
                "https://open.feishu.cn/open-apis/bot/v2/hook/1bd8b1a2-1111-2222-3333-444455556666",
                "https://open.feishu.cn/open-apis/bot/v2/hook/****6666",
            ),
            (
                "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=short",
                "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=****",
            ),
            ("nothing", "****"),
        ] {
            assert_eq!(redact(&Endpoint::new(endpoint.to_owned())), masked);
        }
    }
}
