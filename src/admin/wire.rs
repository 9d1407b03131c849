//! The public shapes of the admin API: JSON requests and responses.
//!
//! Owns the names and forms that clients rely on, except those of subscriptions.
//!
//! Not here: the shapes of a subscription (`domain/subscription_forms.rs`), checks of the values
//! (`subscriptions.rs`), and the routes (`routes.rs`).

mod console;
mod dead;
mod explain;
mod history;
mod overview;
mod pace;
mod store;
mod subscription;
mod template;
mod test_message;
mod topic;
mod transfer;

use serde::{Deserialize, Serialize};

pub use self::{
    console::{RobotsPage, RobotsQuery, SessionView, SignIn},
    dead::{
        DeadLetterDetail, DeadLetterView, DeadOutcome, DeadPage, DeadQuery, DeadRequest,
        DeadSummary, InvalidFilterValue, SummaryRow, filter_value,
    },
    explain::{ExplainRequest, ExplainResponse, Explanation, PartView, UndecodableView},
    history::{
        DeliverySummary, EventHistory, HistoryAttempt, HistoryDead, HistoryDelivery,
        HistoryEntries, HistoryEntry, HistoryFilter, HistoryHold, HistoryWait, LetterActedOn,
        LettersActedOn, LettersNoted,
    },
    overview::{
        DeadLettersNow, DeadQueueNow, DeadRow, OutageView, Overview, PlatformFlow, RobotActivity,
    },
    pace::{FailureView, GroupView, HealthView, Released, RobotView, WaitCountView, WaitView},
    store::{BackupRequest, BackupView, KeyView, ProgressView, RotateRequest, VerifyView},
    subscription::{AddRequest, AddResponse, ListQuery, UpdateRequest},
    template::{
        AddTemplate, RemovedTexts, RenderRequest, RenderedTemplate, TemplateAdded, TemplateView,
    },
    test_message::TestView,
    topic::{TopicPage, TopicQuery, TopicView},
    transfer::{BatchRemoved, ExportPage, ExportRequest, ImportItem, ImportRequest, ImportResult},
};
pub use crate::domain::{SubscriptionPage, SubscriptionView};

/// An error, for the caller.
#[derive(Debug, Deserialize, Serialize)]
pub struct ApiErrorBody {
    /// A word for programs.
    pub error: String,
    /// A sentence for people.
    pub message: String,
}
