//! The rules that the webhook URLs of all platforms share.
//!
//! Owns the errors, and the form of a token.
//!
//! Not here: each platform's hosts and paths (`endpoint.rs` in its folder), the check of a text
//! (`check_endpoint.rs`), and which IP addresses may be called (`send/guard.rs`).

use url::Url;
use zeroize::Zeroizing;

use crate::domain::Platform;

/// Why a text is not an endpoint of the platform. The message never repeats the text, which may
/// contain a credential.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// It is longer than any robot's URL.
    #[error(
        "the webhook has {0} bytes, and no robot's has more than {ENDPOINT_BYTES_MAX}: \
         copy it from the robot's settings, it begins with https://"
    )]
    TooLong(usize),
    /// It is not a URL.
    #[error(
        "the webhook is not a URL: copy it whole from the robot's settings, it has the form {form}"
    )]
    NotUrl {
        /// The form of the platform's webhooks.
        form: String,
    },
    /// It is a URL with something beside it, or in two pieces.
    #[error(
        "the webhook has a blank, a line break or a mark that no URL has: \
         give the URL alone, in one piece, in the form {form}"
    )]
    NotAlone {
        /// The form of the platform's webhooks.
        form: String,
    },
    /// It is only the token at the end of a webhook.
    #[error("this is the {name} alone: give the whole webhook, in the form {form}")]
    TokenAlone {
        /// What the platform calls its token.
        name: &'static str,
        /// The form of the platform's webhooks.
        form: String,
    },
    /// It is a signing secret.
    #[error(
        "this is a signing secret (SEC…): \
         give the webhook first, in the form {form}, and the secret beside it"
    )]
    SigningSecret {
        /// The form of the platform's webhooks.
        form: String,
    },
    /// Its scheme is not https.
    #[error("the webhook begins with {0}://: only https:// is accepted")]
    NotHttps(&'static str),
    /// Its host is not one of the platform's.
    #[error(
        "the webhook's host {found} is not one of {platform}: expected {expected}; \
         the operator allows the host of a private deployment in platforms.{platform}.hosts"
    )]
    Host {
        /// The platform for which it was given.
        platform: Platform,
        /// Its host.
        found: String,
        /// The platform's hosts.
        expected: String,
    },
    /// It starts a flow, and its host is not allowed.
    #[error(
        "the webhook starts a flow of {platform} and is not a robot's: \
         the operator allows it with platforms.{platform}.hosts = [\"{host}\"]"
    )]
    Flow {
        /// The platform.
        platform: Platform,
        /// Its host.
        host: String,
    },
    /// It is a page for people.
    #[error(
        "{host} has pages for people, not webhooks: \
         copy the webhook from the robot's settings in the group, it has the form {form}"
    )]
    Page {
        /// Its host.
        host: String,
        /// The form of the platform's webhooks.
        form: String,
    },
    /// It belongs to another platform.
    #[error("the webhook is one of {0}: say --platform {0}")]
    OtherPlatform(Platform),
    /// It has a user, a port or a fragment.
    #[error("the webhook has a {0}: copy it from the robot's settings as it is")]
    Extra(&'static str),
    /// Its path is not the platform's.
    #[error(
        "the webhook's path is not {0}: \
         copy the webhook from the robot's settings in the group, not the address of a page"
    )]
    Path(&'static str),
    /// A kind of URL that looks valid but cannot be used.
    #[error("{0}")]
    Unusable(&'static str),
    /// The token is missing or occurs twice.
    #[error("the webhook has no {0}, or more than one")]
    Token(&'static str),
    /// The token is malformed.
    #[error("the webhook's {0} is malformed: 8 to 256 letters, digits, - or _")]
    TokenForm(&'static str),
    /// It has a parameter that the platform's URLs do not have.
    #[error("the webhook has a parameter besides {0}: copy it from the robot's settings as it is")]
    Parameter(&'static str),
}

/// The most bytes of a webhook. A host, a path and a token of at most 256 characters are far
/// shorter.
const ENDPOINT_BYTES_MAX: usize = 2048;

/// The parts of a webhook behind its host.
pub(super) struct WebhookParts {
    /// What stands between host and token, in the platform's own form.
    pub(super) path: &'static str,
    /// The credential.
    pub(super) token: Zeroizing<String>,
}

/// Checks that a text is short enough for a webhook of any platform.
pub fn check_endpoint_length(text: &str) -> Result<(), InvalidEndpoint> {
    match text.trim().len() {
        bytes if bytes > ENDPOINT_BYTES_MAX => Err(InvalidEndpoint::TooLong(bytes)),
        _ => Ok(()),
    }
}

/// The only parameter with that name. Other parameters are errors, unless they are among the
/// `dropped`.
pub(super) fn parameter(
    url: &Url,
    name: &'static str,
    dropped: &[&str],
) -> Result<Zeroizing<String>, InvalidEndpoint> {
    let (mine, others): (Vec<_>, Vec<_>) = url.query_pairs().partition(|(found, _)| found == name);
    if others.iter().any(|(found, _)| !dropped.contains(&found.as_ref())) {
        return Err(InvalidEndpoint::Parameter(name));
    }
    match mine.as_slice() {
        [(_, value)] => well_formed(value.trim(), name).map(|token| token.to_owned().into()),
        _ => Err(InvalidEndpoint::Token(name)),
    }
}

/// The token, if it has the form of one.
pub(super) fn well_formed<'a>(
    token: &'a str,
    name: &'static str,
) -> Result<&'a str, InvalidEndpoint> {
    let good = (8..=256).contains(&token.len())
        && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if good { Ok(token) } else { Err(InvalidEndpoint::TokenForm(name)) }
}
