//! `roomcast subscription …`: through the daemon if one runs, else on the store itself.
//!
//! Owns the text output of subscriptions.
//!
//! Not here: reading credentials (`credentials.rs`), import and export (`import.rs`, `export.rs`).

use std::{fmt::Display, str::FromStr};

use hyper::Method;

use super::{
    args,
    backend::{Backend, failure, parse_arg},
    client::query_text,
    columns, credentials,
    exit::Failure,
    export, import,
    output::{Table, confirm, print, print_hint, print_json},
    test_message,
};
use crate::{
    admin::wire::{
        AddRequest, AddResponse, BatchRemoved, ListQuery, SubscriptionPage, SubscriptionView,
        UpdateRequest,
    },
    config::Config,
    domain::{
        ListFilter, Mentions, SubscriptionId, SubscriptionOptions, SubscriptionState, TopicName,
    },
};

/// How many subscriptions one request fetches.
const PAGE: usize = 1000;

pub(super) async fn run(config: &Config, command: args::Subscription) -> Result<(), Failure> {
    // Credentials are read before anything is opened, because a user may
    // take a long time to type them.
    let command = match command {
        args::Subscription::Test { id, json } => return test_message::run(config, &id, json).await,
        args::Subscription::Add(add) => PreparedCommand::Add(credentials::add(&add)?, add.json),
        args::Subscription::Update(update) => PreparedCommand::Update(
            parse_arg(&update.id)?,
            credentials::update(&update)?,
            update.json,
        ),
        other => PreparedCommand::Other(other),
    };
    let access = Backend::open(config).await?;
    match command {
        PreparedCommand::Add(request, json) => access.add(request, json).await,
        PreparedCommand::Update(id, request, json) => access.update(id, request, json).await,
        PreparedCommand::Other(command) => access.perform(command, config).await,
    }
}

/// A command with the credentials that were read for it.
enum PreparedCommand {
    Add(AddRequest, bool),
    Update(SubscriptionId, UpdateRequest, bool),
    Other(args::Subscription),
}

impl Backend {
    async fn perform(&self, command: args::Subscription, config: &Config) -> Result<(), Failure> {
        match command {
            args::Subscription::List {
                topic,
                platform,
                robot,
                state,
                group,
                name,
                limit,
                after,
                json,
            } => {
                let filter = ListFilter {
                    topic: parsed(topic.as_deref())?,
                    platform: parsed(platform.as_deref())?,
                    robot: parsed(robot.as_deref())?,
                    state: parsed(state.as_deref())?,
                    group: parsed(group.as_deref())?,
                    name,
                };
                let query = ListQuery { filter, after: parsed(after.as_deref())?, limit };
                self.list(query, json).await
            }
            args::Subscription::Show { id, json } => self.show(parse_arg(&id)?, json).await,
            args::Subscription::Remove { id: Some(id), .. } => self.remove(parse_arg(&id)?).await,
            args::Subscription::Remove { topic, yes, .. } => {
                self.remove_topic(&parse_arg(&topic.unwrap_or_default())?, yes).await
            }
            args::Subscription::Export(export) => export::run(self, &export).await,
            args::Subscription::Import(import) => {
                import::run(self, &import, &config.webhook_hosts()).await
            }
            args::Subscription::Pause { id } => {
                self.set_state(parse_arg(&id)?, SubscriptionState::Paused).await
            }
            args::Subscription::Resume { id } => {
                self.set_state(parse_arg(&id)?, SubscriptionState::Active).await
            }
            args::Subscription::Add(_)
            | args::Subscription::Update(_)
            | args::Subscription::Test { .. } => {
                Err(Failure::Internal("the request was not made".to_owned()))
            }
        }
    }

    async fn add(&self, request: AddRequest, json: bool) -> Result<(), Failure> {
        let topic = request.topic.clone();
        let added: AddResponse = match self {
            Self::Daemon(client) => client.post("/v1/subscriptions", &request).await?,
            Self::LocalStore(service) => service.add(request).await.map_err(failure)?,
        };
        if json {
            print_json(&added);
        } else if added.existed {
            print(&added.id.to_string());
            print(&format!("this robot was subscribed to {topic} already; nothing was changed"));
        } else {
            print(&added.id.to_string());
        }
        Ok(())
    }

    async fn update(
        &self,
        id: SubscriptionId,
        request: UpdateRequest,
        json: bool,
    ) -> Result<(), Failure> {
        let other_hours = request.options.quiet.is_some();
        let view: SubscriptionView = match self {
            Self::Daemon(client) => {
                client.ask(Method::PATCH, &format!("/v1/subscriptions/{id}"), &request).await?
            }
            Self::LocalStore(service) => service.update(id, request).await.map_err(failure)?,
        };
        if json {
            print_json(&view);
        } else {
            print("updated; the key of the old version is destroyed");
            if other_hours {
                print("what quiet hours hold back already waits until the end that they had");
            }
        }
        Ok(())
    }

    async fn list(&self, mut query: ListQuery, json: bool) -> Result<(), Failure> {
        let mut table =
            Table::new(&["id", "topic", "platform", "robot", "name", "state", "endpoint"]);
        let mut left = query.limit.unwrap_or(usize::MAX);
        while left > 0 {
            query.limit = Some(left.min(PAGE));
            let page = self.page(&query).await?;
            left -= page.subscriptions.len().min(left);
            for one in page.subscriptions {
                if json {
                    print_json(&one);
                } else {
                    table.row([
                        one.id.to_string(),
                        one.topic.to_string(),
                        one.platform.to_string(),
                        one.robot.to_string(),
                        one.private.name.unwrap_or_default(),
                        one.state.to_string(),
                        one.masked_endpoint,
                    ]);
                }
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        if !json {
            table.print("no subscriptions");
            if let Some(place) = query.after {
                print(&format!("more: --after {place}"));
            }
        }
        Ok(())
    }

    pub(super) async fn page(&self, query: &ListQuery) -> Result<SubscriptionPage, Failure> {
        match self {
            Self::Daemon(client) => {
                client.get(&format!("/v1/subscriptions?{}", query_text(query)?)).await
            }
            Self::LocalStore(service) => service.list(query).await.map_err(failure),
        }
    }

    async fn show(&self, id: SubscriptionId, json: bool) -> Result<(), Failure> {
        let view: SubscriptionView = match self {
            Self::Daemon(client) => client.get(&format!("/v1/subscriptions/{id}")).await?,
            Self::LocalStore(service) => service.show(id).await.map_err(failure)?,
        };
        if json {
            print_json(&view);
            return Ok(());
        }
        print_view(&view)?;
        print_hint(&format!("what it got: roomcast history --subscription {id}"));
        Ok(())
    }

    async fn remove(&self, id: SubscriptionId) -> Result<(), Failure> {
        match self {
            Self::Daemon(client) => {
                client.order(Method::DELETE, &format!("/v1/subscriptions/{id}")).await?
            }
            Self::LocalStore(service) => service.remove(id).await.map_err(failure)?,
        }
        print("removed; the key of its webhook is destroyed");
        Ok(())
    }

    /// Removes all subscriptions of a topic, some at a time. After an interruption, the removed
    /// ones stay removed.
    async fn remove_topic(&self, topic: &TopicName, yes: bool) -> Result<(), Failure> {
        let filter = ListFilter { topic: Some(topic.clone()), ..ListFilter::default() };
        let query = ListQuery { filter, limit: Some(1), after: None };
        if self.page(&query).await?.subscriptions.is_empty() {
            return Err(Failure::no_subscription(topic));
        }
        if !yes
            && !confirm(
                &format!("every subscription of {topic} is removed, and its key destroyed"),
                "remove them?",
            )?
        {
            return Err(Failure::No("nothing was removed".to_owned()));
        }
        let (path, mut removed) = (format!("/v1/topics/{topic}"), 0);
        loop {
            let some: BatchRemoved = self
                .ask(Method::DELETE, &path, (), async |service, ()| {
                    service.remove_batch(topic).await
                })
                .await?;
            removed += some.removed;
            if some.removed == 0 {
                break;
            }
        }
        print(&format!(
            "removed {removed} subscriptions; the keys of their webhooks are destroyed"
        ));
        Ok(())
    }

    async fn set_state(&self, id: SubscriptionId, state: SubscriptionState) -> Result<(), Failure> {
        let verb = if state == SubscriptionState::Paused { "pause" } else { "resume" };
        match self {
            Self::Daemon(client) => {
                client.order(Method::POST, &format!("/v1/subscriptions/{id}/{verb}")).await?;
            }
            Self::LocalStore(service) => service.set_state(id, state).await.map_err(failure)?,
        }
        print(state.as_str());
        Ok(())
    }
}

fn print_view(view: &SubscriptionView) -> Result<(), Failure> {
    let fields =
        serde_json::to_value(view).map_err(|error| Failure::Internal(error.to_string()))?;
    let text = |field: &str| {
        let text = fields.get(field).map(columns::text).filter(|text| !text.is_empty());
        text.unwrap_or_else(|| "none".to_owned())
    };
    let line = |what: &str, value: &str| print(&format!("{what:<10} {value}"));
    for field in ["id", "name", "topic", "platform", "robot", "endpoint"] {
        line(field, &text(field));
    }
    line("signature", if view.signed { "with a secret" } else { "none" });
    line("keyword", &text("keyword"));
    line("mentions", &mentions(&view.private.mentions));
    for option in SubscriptionOptions::NAMES {
        line(&option.replace('_', " "), &text(option));
    }
    line("state", view.state.as_str());
    line("added", &text("created_at"));
    Ok(())
}

fn mentions(mentions: &Mentions) -> String {
    let all = [
        mentions.all.then(|| "everybody".to_owned()),
        (!mentions.mobiles.is_empty()).then(|| mentions.mobiles.join(", ")),
        (!mentions.users.is_empty()).then(|| mentions.users.join(", ")),
    ];
    let all: Vec<_> = all.into_iter().flatten().collect();
    if all.is_empty() { "none".to_owned() } else { all.join("; ") }
}

fn parsed<T: FromStr<Err: Display>>(text: Option<&str>) -> Result<Option<T>, Failure> {
    text.map(parse_arg).transpose()
}
