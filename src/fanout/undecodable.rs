//! Why a message is no event. Owns the form of such a mistake; the mistakes are found where a message is read.

/// Why a message is no event: where the mistake is, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// What kind of mistake: `damaged`, `size`, `topic`, `json`, `not_before`, `content` or `template`.
    pub code: &'static str,
    /// The place and the mistake in one sentence.
    pub detail: String,
}

/// A mistake in what the event says.
pub(super) fn mistake(detail: impl Into<String>) -> Undecodable {
    Undecodable { code: "content", detail: detail.into() }
}
