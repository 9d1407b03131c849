//! How an error shows a text that is not an id.
//!
//! Owns the rule that such an error repeats nothing of a URL: a webhook pasted in place of an id is
//! a credential.
//!
//! Not here: the ids themselves (`subscription.rs`, `robot.rs`).

/// The most characters of the text that an error repeats.
const SHOWN_MAX: usize = 60;

/// The beginning of the text, in quotes. Nothing of a URL is shown, because it may be a credential.
pub(super) fn quoted(text: &str) -> String {
    if text.contains("://") {
        return "a URL".to_owned();
    }
    let shown: String = text.chars().take(SHOWN_MAX).collect();
    format!("{shown:?}")
}

/// The text is not the id of a dead letter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not the id of a dead letter: \
    it has 32 hexadecimal digits, as `roomcast dead list` shows it", quoted(.0))]
pub struct InvalidLetterId(pub String);

/// The history has no event with this id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the history has no event {}: it was never received, or is older than the history, \
    or has another id", quoted(.0))]
pub struct UnknownEvent(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_repeated_short_and_a_webhook_not_at_all() {
        assert_eq!(quoted("../robots"), "\"../robots\"");
        assert_eq!(quoted(&"x".repeat(1000)).len(), SHOWN_MAX + 2);
        assert_eq!(quoted("https://oapi.dingtalk.com/robot/send?access_token=T"), "a URL");
    }
}
