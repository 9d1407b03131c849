//! The requests to the daemon, and its answers.
//!
//! Owns paths and queries.
//!
//! Not here: when something is requested (`state.rs`), and the HTTP (`cli/client.rs`).

use serde_json::Value;

use super::live_data::Pulse;
use crate::{
    admin::wire::{
        DeadLetterDetail, DeadOutcome, DeadPage, DeadQuery, DeadRequest, DeadSummary, Released,
        SubscriptionPage, SubscriptionView,
    },
    cli::{
        client::{Client, in_path},
        exit::Failure,
    },
    domain::RobotId,
};

/// How many letters a list shows; filters of the command line find the others.
const LETTERS: usize = 200;

/// How many subscriptions of a robot are listed.
const SUBSCRIPTIONS: usize = 10;

/// A request, with the number that its answer will carry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ApiRequest {
    pub(super) number: u64,
    pub(super) question: ApiQuery,
}

/// The kinds of requests.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ApiQuery {
    /// The data that all views show, and the lists that only some views show.
    Pulse { robots: bool, groups: bool },
    /// The counts of dead letters by platform, reason and code.
    Summary,
    /// Dead letters.
    Letters(DeadQuery),
    /// A robot's subscriptions and dead letters.
    Robot(RobotId),
    /// One letter with all its details.
    Letter(String),
    /// A redrive, or its dry run.
    Redrive(DeadRequest),
    /// The end of a hold.
    Release(RobotId),
}

/// The answers, one kind for each request.
pub(super) enum ApiResponse {
    Pulse(Pulse),
    Summary(DeadSummary),
    Letters(DeadPage),
    Robot { subscriptions: Vec<SubscriptionView>, letters: DeadPage },
    Letter(Box<DeadLetterDetail>),
    Redriven(DeadOutcome),
    Released { was_held: bool },
}

/// Sends a request, and waits for its answer without a limit.
pub(super) async fn ask(client: &Client, question: ApiQuery) -> Result<ApiResponse, Failure> {
    Ok(match question {
        ApiQuery::Pulse { robots, groups } => ApiResponse::Pulse(Pulse {
            overview: client.get("/v1/overview").await?,
            robots: if robots { Some(client.get("/v1/robots").await?) } else { None },
            groups: if groups { Some(client.get("/v1/groups").await?) } else { None },
        }),
        ApiQuery::Summary => ApiResponse::Summary(client.get("/v1/dead/summary").await?),
        ApiQuery::Letters(which) => ApiResponse::Letters(client.get(&letters(which)).await?),
        ApiQuery::Robot(id) => {
            let path = format!("/v1/subscriptions?robot={id}&limit={SUBSCRIPTIONS}");
            let page: SubscriptionPage = client.get(&path).await?;
            let which = DeadQuery { robot: Some(id), ..DeadQuery::default() };
            ApiResponse::Robot {
                subscriptions: page.subscriptions,
                letters: client.get(&letters(which)).await?,
            }
        }
        ApiQuery::Letter(id) => {
            ApiResponse::Letter(Box::new(client.get(&format!("/v1/dead/{}", in_path(&id))).await?))
        }
        ApiQuery::Redrive(request) => {
            ApiResponse::Redriven(client.post("/v1/dead/redrive", &request).await?)
        }
        ApiQuery::Release(id) => {
            let released: Released = client.post(&format!("/v1/robots/{id}/release"), &()).await?;
            ApiResponse::Released { was_held: released.was_held }
        }
    })
}

fn letters(which: DeadQuery) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let named =
        serde_json::to_value(DeadQuery { limit: Some(LETTERS), ..which }).unwrap_or_default();
    for (name, value) in named.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => query.append_pair(name, text),
            other => query.append_pair(name, &other.to_string()),
        };
    }
    format!("/v1/dead?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DeadReason;

    #[test]
    fn a_filter_is_asked_for_as_the_api_reads_it() {
        let which = DeadQuery {
            reason: Some(DeadReason::RobotGone.into()),
            topic: Some("db & disk".to_owned()),
            ..DeadQuery::default()
        };
        assert_eq!(letters(which), "/v1/dead?reason=robot_gone&topic=db+%26+disk&limit=200");
    }
}
