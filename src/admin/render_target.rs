//! What a preview renders for: a subscription as operators see it, without credentials.
//!
//! Owns that a preview never opens the sealed part of a subscription.
//!
//! Not here: the rendering (`explain.rs`, `dead_letters/render.rs`).

use crate::{domain::SubscriptionView, platforms::RenderTarget};

/// The target of a known subscription.
pub(super) fn render_target(known: &SubscriptionView) -> RenderTarget {
    let SubscriptionView { platform, masked_endpoint, private, options, .. } = known;
    RenderTarget::new(*platform, masked_endpoint, private, options)
}
