//! The public shapes of the admin API: JSON requests and responses.
//!
//! Owns the names and forms that clients rely on. They are separate types, so a change in the
//! domain does not change the API.
//!
//! Not here: checks of the values (`desk.rs`), and the routes (`routes.rs`).

mod console;
mod credential;
mod dead;
mod explain;
mod overview;
mod pace;
mod store;
mod subscription;
mod template;
mod transfer;

use serde::{Deserialize, Serialize};

pub use self::{
    console::{Robots, RobotsQuery, Session, SignIn},
    dead::{DeadOutcome, DeadPage, DeadQuery, DeadRequest, DeadSummary, LetterDetail, LetterView, SummaryRow},
    explain::{ExplainRequest, Explained, Explanation, Mistake, PartView},
    overview::{Busy, DeadNow, DeadQueueNow, DeadRow, Flow, Overview},
    pace::{GroupView, Released, RobotView},
    store::{BackupRequest, BackupView, KeyView, Progress, RotateRequest, VerifyView},
    subscription::{AddRequest, Added, ListQuery, MentionsWire, SubscriptionPage, SubscriptionView, UpdateRequest},
    template::{AddTemplate, RemovedTexts, RenderRequest, Rendered, TemplateAdded, TemplateView},
    transfer::{ExportPage, ExportRequest, ImportRequest, Imported, RemovedSome},
};

/// An error, for the caller.
#[derive(Debug, Deserialize, Serialize)]
pub struct Problem {
    /// A word for programs.
    pub error: String,
    /// A sentence for people.
    pub message: String,
}
