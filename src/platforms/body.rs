//! A rendered body and what it is rendered from.
//!
//! Owns the types that every platform's messages share, and the refusal of a body that is too
//! large.
//!
//! Not here: the wire forms (the platforms' folders), and the steps from a delivery to a request
//! (`message.rs`).

use serde_json::{Map, Value};

use super::{
    chat_phrases::{ChatPhrase, Unmentioned},
    chunk::ChunkRequest,
    markdown::Markdown,
};
use crate::domain::{FeatureSet, Format, Mentions, MessageFeature, Part};
#[cfg(test)]
use crate::domain::{Language, LongTextPolicy};

/// The code of a message that is larger than its platform takes.
pub const TOO_LARGE: &str = "too_large";

/// The message cannot be sent to this platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsendable {
    /// Roomcast's code for it: `too_large`, `no_content`, `no_keyword`, `template`.
    pub code: &'static str,
    /// The mistake, as a sentence.
    pub detail: String,
}

/// The text of a message, before it is put into a platform's form.
pub(super) struct TextMessage<'a> {
    pub(super) subject: Option<&'a str>,
    pub(super) text: &'a str,
    pub(super) format: Format,
    pub(super) mentions: Mentions,
    pub(super) keyword: Option<&'a str>,
    pub(super) color: Option<&'a str>,
    /// The members who are counted in a note instead of being mentioned.
    pub(super) unmentioned: Unmentioned,
    /// The features that the message leaves out, because the platform refused it.
    pub(super) omitted: FeatureSet,
    pub(super) wanted: ChunkRequest,
}

impl<'a> TextMessage<'a> {
    /// The text as markdown, without the features that are left out.
    pub(super) fn markdown(&self) -> Markdown<'a> {
        Markdown::read(self.text).without(self.omitted)
    }

    /// The note that ends the message: how many members are not mentioned, with those of `others`,
    /// and which features are left out.
    pub(super) fn note(&self, others: Unmentioned) -> String {
        let language = self.wanted.language;
        let unmentioned = self.unmentioned.and(others).tail(language);
        let features = noted_features(self.omitted);
        if features.is_empty() {
            return unmentioned;
        }
        format!("{unmentioned}\n{}", ChatPhrase::LeftOut(features).text(language))
    }
}

/// The features that a note names as left out. Members who are not mentioned have a note of their
/// own, and without formatting there is nothing else.
fn noted_features(omitted: FeatureSet) -> FeatureSet {
    let mentions = [MessageFeature::MentionAll, MessageFeature::Mentions].into_iter().collect();
    if omitted.contains(MessageFeature::Markup) {
        return FeatureSet::EMPTY.with(MessageFeature::Markup);
    }
    omitted.without(mentions)
}

#[cfg(test)]
impl<'a> TextMessage<'a> {
    /// A message that mentions no member, without keyword and color, cut in English if it is too
    /// long.
    pub(super) fn plain(subject: Option<&'a str>, text: &'a str, format: Format) -> Self {
        let (mentions, part) = (Mentions::default(), Part { index: 0, total: None });
        let (too_long, language) = (LongTextPolicy::Cut, Language::En);
        let wanted = ChunkRequest { too_long, part, language };
        let (unmentioned, omitted) = (Unmentioned::default(), FeatureSet::default());
        Self {
            subject,
            text,
            format,
            mentions,
            keyword: None,
            color: None,
            unmentioned,
            omitted,
            wanted,
        }
    }
}

/// A body, and the part of the text that it contains.
pub(super) type RenderedBody = (Map<String, Value>, Part);

/// The body as bytes, if it is within the platform's limit.
pub(super) fn bounded(body: &Map<String, Value>, bytes_max: usize) -> Result<Vec<u8>, Unsendable> {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    if bytes.len() > bytes_max {
        return Err(Unsendable {
            code: TOO_LARGE,
            detail: format!(
                "the message has {} bytes; the platform takes {bytes_max}",
                bytes.len()
            ),
        });
    }
    Ok(bytes)
}

/// A JSON object with these fields.
pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
