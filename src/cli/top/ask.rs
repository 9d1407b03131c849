//! What the daemon is asked, and what it answers. Owns paths and queries; when something is asked, the state decides.

use serde_json::Value;

use super::live::Pulse;
use crate::{
    admin::wire::{
        DeadOutcome, DeadPage, DeadQuery, DeadRequest, DeadSummary, LetterDetail, Released, SubscriptionPage,
        SubscriptionView,
    },
    cli::{
        client::{Client, in_path},
        exit::Failure,
    },
};

/// So many letters are listed; a filter of the command line finds the others.
const LETTERS: usize = 200;

/// So many subscriptions of a robot are named.
const SUBSCRIPTIONS: usize = 10;

/// Something to ask, with the number under which the answer is awaited.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) question: Question,
}

/// What the daemon is asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Question {
    /// Everything that is shown all the time, and what only some views show.
    Pulse { robots: bool, groups: bool },
    /// How many dead letters there are of what kind.
    Summary,
    /// Dead letters.
    Letters(DeadQuery),
    /// A robot's subscriptions and dead letters.
    Robot(String),
    /// One letter whole.
    Letter(String),
    /// What a redrive would do, or that it shall be done.
    Redrive(DeadRequest),
    /// The end of a hold.
    Release(String),
}

/// What it answers.
pub(super) enum Answer {
    Pulse(Pulse),
    Summary(DeadSummary),
    Letters(DeadPage),
    Robot { subscriptions: Vec<SubscriptionView>, letters: DeadPage },
    Letter(Box<LetterDetail>),
    Redriven(DeadOutcome),
    Released { was_held: bool },
}

/// Asks, and waits for the answer as long as it takes.
pub(super) async fn ask(client: &Client, question: Question) -> Result<Answer, Failure> {
    Ok(match question {
        Question::Pulse { robots, groups } => Answer::Pulse(Pulse {
            overview: client.get("/v1/overview").await?,
            robots: if robots { Some(client.get("/v1/robots").await?) } else { None },
            groups: if groups { Some(client.get("/v1/groups").await?) } else { None },
        }),
        Question::Summary => Answer::Summary(client.get("/v1/dead/summary").await?),
        Question::Letters(which) => Answer::Letters(client.get(&letters(which)).await?),
        Question::Robot(id) => {
            let path = format!("/v1/subscriptions?robot={}&limit={SUBSCRIPTIONS}", in_path(&id));
            let page: SubscriptionPage = client.get(&path).await?;
            let which = DeadQuery { robot: Some(id), ..DeadQuery::default() };
            Answer::Robot { subscriptions: page.subscriptions, letters: client.get(&letters(which)).await? }
        }
        Question::Letter(id) => Answer::Letter(Box::new(client.get(&format!("/v1/dead/{}", in_path(&id))).await?)),
        Question::Redrive(request) => Answer::Redriven(client.post("/v1/dead/redrive", &request).await?),
        Question::Release(id) => {
            let released: Released = client.post(&format!("/v1/robots/{}/release", in_path(&id)), &()).await?;
            Answer::Released { was_held: released.was_held }
        }
    })
}

fn letters(which: DeadQuery) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let named = serde_json::to_value(DeadQuery { limit: Some(LETTERS), ..which }).unwrap_or_default();
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

    #[test]
    fn a_filter_is_asked_for_as_the_api_reads_it() {
        let which = DeadQuery {
            reason: Some("robot_gone".to_owned()),
            topic: Some("db & disk".to_owned()),
            ..DeadQuery::default()
        };
        assert_eq!(letters(which), "/v1/dead?reason=robot_gone&topic=db+%26+disk&limit=200");
    }
}
