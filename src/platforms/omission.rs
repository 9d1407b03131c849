//! What a message leaves out after its platform refused it for a part of it.
//!
//! Owns the decision which feature is left out next, and that the last of a few messages is the
//! plainest one.
//!
//! Not here: which answer is about which feature (`answer.rs` of each platform), and how a message
//! without a feature is rendered (`plainer.rs`).

use crate::domain::{FeatureSet, MessageFeature};

/// The most messages that are sent at once after a refused one.
pub const PLAINER_MAX: u32 = 3;

/// The features that are left out if the answer names none that the message has. Plain text may
/// still mention members, because a mention matters more than markup.
const IF_UNKNOWN: [MessageFeature; 6] = [
    MessageFeature::Markup,
    MessageFeature::Mentions,
    MessageFeature::MentionAll,
    MessageFeature::Title,
    MessageFeature::Tables,
    MessageFeature::Pictures,
];

/// The next message after a refused one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainerMessage {
    /// The features that it leaves out.
    pub omitted: FeatureSet,
    /// The feature that is taken for the cause of the refusal.
    pub cause: MessageFeature,
}

/// The next message after a refused one that left out `omitted` and still had `present`. `None` if
/// the refused message was the plainest.
#[must_use]
pub fn plainer(
    omitted: FeatureSet,
    present: FeatureSet,
    refused_for: &[MessageFeature],
) -> Option<PlainerMessage> {
    let left = present.without(omitted);
    let mut suspected = refused_for.iter().chain(&IF_UNKNOWN).copied();
    let cause = suspected.find(|feature| left.contains(*feature))?;
    let next = omitted.with(cause);
    let is_last = next.len() >= PLAINER_MAX;
    Some(PlainerMessage { omitted: if is_last { next.and(present) } else { next }, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &str) -> FeatureSet {
        FeatureSet::named(names)
    }

    #[test]
    fn the_suspected_feature_is_left_out_first_and_then_the_markup() {
        use MessageFeature::{Markup, MentionAll, Mentions, Tables};
        for (omitted, present, refused_for, next) in [
            ("", "mentions,tables,markup", &[Mentions][..], Some(("mentions", Mentions))),
            ("", "mention_all,markup", &[MentionAll, Markup], Some(("mention_all", MentionAll))),
            ("", "mentions,markup", &[MentionAll, Markup], Some(("markup", Markup))),
            ("", "tables,markup", &[Tables], Some(("tables", Tables))),
            ("", "markup", &[Tables], Some(("markup", Markup))),
            ("tables", "mentions,markup", &[Tables], Some(("tables,markup", Markup))),
            ("markup", "mentions", &[], Some(("mentions,markup", Mentions))),
            // The last of three is the plainest.
            (
                "mention_all,tables",
                "mentions,pictures,title,markup",
                &[Mentions],
                Some(("mention_all,mentions,tables,pictures,title,markup", Mentions)),
            ),
            ("mentions,markup", "", &[Mentions], None),
            ("", "", &[Markup], None),
            // A feature that is left out already is not left out again, so this ends.
            ("tables", "tables", &[Tables], None),
        ] {
            let expected =
                next.map(|(omitted, cause)| PlainerMessage { omitted: set(omitted), cause });
            assert_eq!(
                plainer(set(omitted), set(present), refused_for),
                expected,
                "{omitted} of {present}"
            );
        }
    }

    #[test]
    fn after_three_messages_at_most_nothing_is_left_to_leave_out() {
        let every = crate::domain::every::<MessageFeature>;
        for bits in 0..64_u32 {
            let all: FeatureSet = every()
                .enumerate()
                .filter(|(at, _)| bits >> at & 1 == 1)
                .map(|(_, one)| one)
                .collect();
            for suspect in every() {
                let (mut omitted, mut sent) = (FeatureSet::default(), 0);
                while let Some(next) = plainer(omitted, all.without(omitted), &[suspect]) {
                    assert!(next.omitted.len() > omitted.len(), "each message is plainer");
                    (omitted, sent) = (next.omitted, sent + 1);
                }
                assert!(sent <= PLAINER_MAX && omitted == all, "{all}: {omitted}");
            }
        }
    }
}
