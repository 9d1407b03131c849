//! What a preview renders for: a subscription as the store shows it, without credentials.
//!
//! Owns that a preview never opens the sealed part of a subscription.
//!
//! Not here: the rendering (`explain.rs`, `dead_letters/render.rs`).

use crate::{platforms::RenderTarget, store::SubscriptionSummary};

/// The target of a known subscription.
pub(super) fn render_target(known: &SubscriptionSummary) -> RenderTarget {
    RenderTarget {
        platform: known.platform,
        keyword: known.keyword.clone(),
        mentions: known.mentions.clone(),
        too_long: known.options.too_long,
    }
}
