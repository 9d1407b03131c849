//! `roomcast subscription …`: through the daemon if one runs, else on the store itself.
//!
//! Owns the text output of subscriptions.
//!
//! Not here: reading credentials (`credentials.rs`), import and export (`import.rs`, `export.rs`).

use hyper::Method;

use super::{
    args,
    backend::{Backend, failure, parse_arg},
    credentials,
    exit::Failure,
    export, import,
    output::{Table, confirm, print, print_json},
};
use crate::{
    admin::wire::{
        AddRequest, AddResponse, BatchRemoved, ListQuery, SubscriptionPage, SubscriptionView,
        UpdateRequest,
    },
    config::Config,
    domain::{SubscriptionId, SubscriptionState, TopicName},
};

/// How many subscriptions one request fetches.
const PAGE: usize = 1000;

pub(super) async fn run(config: &Config, command: args::Subscription) -> Result<(), Failure> {
    // Credentials are read before anything is opened, because a user may
    // take a long time to type them.
    let command = match command {
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
        PreparedCommand::Other(command) => access.perform(command).await,
    }
}

/// A command with the credentials that were read for it.
enum PreparedCommand {
    Add(AddRequest, bool),
    Update(SubscriptionId, UpdateRequest, bool),
    Other(args::Subscription),
}

impl Backend {
    async fn perform(&self, command: args::Subscription) -> Result<(), Failure> {
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
                let query = ListQuery { topic, platform, robot, state, group, name, after, limit };
                self.list(query, json).await
            }
            args::Subscription::Show { id, json } => self.show(parse_arg(&id)?, json).await,
            args::Subscription::Remove { id: Some(id), .. } => self.remove(parse_arg(&id)?).await,
            args::Subscription::Remove { topic, yes, .. } => {
                self.remove_topic(&parse_arg(&topic.unwrap_or_default())?, yes).await
            }
            args::Subscription::Export(export) => export::run(self, &export).await,
            args::Subscription::Import(import) => import::run(self, &import).await,
            args::Subscription::Pause { id } => {
                self.set_state(parse_arg(&id)?, SubscriptionState::Paused).await
            }
            args::Subscription::Resume { id } => {
                self.set_state(parse_arg(&id)?, SubscriptionState::Active).await
            }
            args::Subscription::Add(_) | args::Subscription::Update(_) => {
                Err(Failure::Internal("the request was not made".to_owned()))
            }
        }
    }

    async fn add(&self, request: AddRequest, json: bool) -> Result<(), Failure> {
        let topic = request.topic.clone();
        let added: AddResponse = match self {
            Self::Daemon(client) => client.post("/v1/subscriptions", &request).await?,
            Self::LocalStore(service) => service.add(request).map_err(failure)?,
        };
        if json {
            print_json(&added);
        } else if added.existed {
            print(&added.id);
            print(&format!("this robot was subscribed to {topic} already; nothing was changed"));
        } else {
            print(&added.id);
        }
        Ok(())
    }

    async fn update(
        &self,
        id: SubscriptionId,
        request: UpdateRequest,
        json: bool,
    ) -> Result<(), Failure> {
        let other_hours = request.quiet.is_some();
        let view: SubscriptionView = match self {
            Self::Daemon(client) => {
                client.ask(Method::PATCH, &format!("/v1/subscriptions/{id}"), &request).await?
            }
            Self::LocalStore(service) => {
                service.update(&id.to_string(), request).map_err(failure)?
            }
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
                    let name = one.name.unwrap_or_default();
                    table.row([
                        one.id,
                        one.topic,
                        one.platform,
                        one.robot,
                        name,
                        one.state,
                        one.endpoint,
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
            Self::LocalStore(service) => service.list(query).map_err(failure),
        }
    }

    async fn show(&self, id: SubscriptionId, json: bool) -> Result<(), Failure> {
        let view: SubscriptionView = match self {
            Self::Daemon(client) => client.get(&format!("/v1/subscriptions/{id}")).await?,
            Self::LocalStore(service) => service.show(&id.to_string()).map_err(failure)?,
        };
        if json {
            print_json(&view);
            return Ok(());
        }
        let mentions = [
            view.mentions.all.then(|| "everybody".to_owned()),
            (!view.mentions.mobiles.is_empty()).then(|| view.mentions.mobiles.join(", ")),
            (!view.mentions.users.is_empty()).then(|| view.mentions.users.join(", ")),
        ];
        let mentions: Vec<_> = mentions.into_iter().flatten().collect();
        let none = || "none".to_owned();
        for (what, value) in [
            ("id", view.id),
            ("name", view.name.unwrap_or_else(none)),
            ("topic", view.topic),
            ("platform", view.platform),
            ("robot", view.robot),
            ("endpoint", view.endpoint),
            ("signature", if view.signed { "with a secret".to_owned() } else { none() }),
            ("keyword", view.keyword.unwrap_or_else(none)),
            ("mentions", if mentions.is_empty() { none() } else { mentions.join("; ") }),
            ("overflow", view.overflow),
            ("group", view.group.unwrap_or_else(none)),
            ("filter", view.filter.map_or_else(none, |filter| filter.to_string())),
            ("quiet", view.quiet.unwrap_or_else(none)),
            ("too long", view.too_long),
            ("state", view.state),
            ("added", view.created_at),
        ] {
            print(&format!("{what:<10} {value}"));
        }
        Ok(())
    }

    async fn remove(&self, id: SubscriptionId) -> Result<(), Failure> {
        match self {
            Self::Daemon(client) => {
                client.order(Method::DELETE, &format!("/v1/subscriptions/{id}")).await?
            }
            Self::LocalStore(service) => service.remove(&id.to_string()).map_err(failure)?,
        }
        print("removed; the key of its webhook is destroyed");
        Ok(())
    }

    /// Removes all subscriptions of a topic, some at a time. After an interruption, the removed
    /// ones stay removed.
    async fn remove_topic(&self, topic: &TopicName, yes: bool) -> Result<(), Failure> {
        let query =
            ListQuery { topic: Some(topic.to_string()), limit: Some(1), ..ListQuery::default() };
        if self.page(&query).await?.subscriptions.is_empty() {
            return Err(Failure::No(format!("there is no subscription to {topic}")));
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
                .ask(Method::DELETE, &path, (), |service, ()| service.remove_batch(topic.as_str()))
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
            Self::LocalStore(service) => {
                service.set_state(&id.to_string(), state).map_err(failure)?
            }
        }
        print(state.as_str());
        Ok(())
    }
}

fn query_text(query: &ListQuery) -> Result<String, Failure> {
    let fields =
        serde_json::to_value(query).map_err(|error| Failure::Internal(error.to_string()))?;
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in fields.as_object().into_iter().flatten() {
        text.append_pair(key, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    Ok(text.finish())
}
