//! Endpoints as people may see them: enough to tell two apart, too little to use one.

use crate::domain::Endpoint;

/// How many characters of a credential are shown, at its end.
const SHOWN: usize = 4;
/// A credential shorter than this is not shown at all.
const LENGTH_MIN: usize = 16;

/// Host and path as they are; the credential, which is the value of the query or the last part of the path, down to its end.
pub(super) fn mask(endpoint: &Endpoint) -> String {
    let url = endpoint.expose();
    let parts = match url.split_once('?') {
        Some((path, query)) => query.split_once('=').map(|(name, value)| (format!("{path}?{name}="), value)),
        None => url.rsplit_once('/').map(|(path, last)| (format!("{path}/"), last)),
    };
    parts.map_or_else(|| "****".to_owned(), |(open, credential)| open + &mask_credential(credential))
}

fn mask_credential(credential: &str) -> String {
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
                "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef0123456789abcdef",
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
            assert_eq!(mask(&Endpoint::new(endpoint.to_owned())), masked);
        }
    }
}
