//! The shapes of requests and answers about subscriptions, as far as they are not shared.
//!
//! Owns the query of a listing, and the answer to an addition.
//!
//! Not here: the three shapes of a subscription (`domain/subscription_forms.rs`), checks of the
//! values (`admin/subscriptions.rs`), and many at a time (`transfer.rs`).

use serde::{Deserialize, Serialize};

use crate::domain::{
    ListCursor, ListFilter, Secret, SubscriptionId, SubscriptionPatch, SubscriptionSpec,
};

/// `POST /v1/subscriptions`.
pub type AddRequest = SubscriptionSpec<Secret>;

/// `PATCH /v1/subscriptions/{id}`: a missing field keeps its value; `null` or an empty text removes
/// it.
pub type UpdateRequest = SubscriptionPatch<Secret>;

/// The answer to an addition.
#[derive(Debug, Deserialize, Serialize)]
pub struct AddResponse {
    /// The subscription's id.
    pub id: SubscriptionId,
    /// Whether the same robot was already subscribed to the same topic; then nothing was added.
    pub existed: bool,
}

/// The query of `GET /v1/subscriptions`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Which subscriptions are listed.
    #[serde(flatten)]
    pub filter: ListFilter,
    /// The page after this cursor, which is `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ListCursor>,
    /// The size of a page; 1 to 1,000, by default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}
