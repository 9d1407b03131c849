//! `roomcast subscription …`: through the daemon where one runs, else on the store itself.

use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::Path,
};

use hyper::Method;

use super::{
    args,
    client::Client,
    exit::Failure,
    offline,
    screen::{Table, print, print_json},
};
use crate::{
    admin::{
        Desk, Refusal,
        wire::{AddRequest, Added, ListQuery, MentionsWire, SubscriptionPage, SubscriptionView},
    },
    config::Config,
    domain::{Secret, SubscriptionState},
};

/// Who does what is asked about subscriptions.
enum Access {
    /// The daemon, which has the store open.
    Daemon(Client),
    /// This process; no daemon runs.
    Direct(Desk),
}

pub(super) async fn run(config: &Config, command: args::Subscription) -> Result<(), Failure> {
    // What the user has to type is asked for before anything is opened.
    let request = match &command {
        args::Subscription::Add(add) => Some(request(add)?),
        _ => None,
    };
    let access = match Client::find(&config.admin.socket).await {
        Some(client) => Access::Daemon(client),
        None => Access::Direct(Desk::new(offline::open_store(config)?)),
    };
    match (command, request) {
        (args::Subscription::Add(add), Some(request)) => access.add(request, add.json).await,
        (args::Subscription::Add(_), None) => Err(Failure::Internal("no request was made".to_owned())),
        (args::Subscription::List { topic, platform, json }, _) => {
            access.list(ListQuery { topic, platform, ..ListQuery::default() }, json).await
        }
        (args::Subscription::Show { id, json }, _) => access.show(&id, json).await,
        (args::Subscription::Remove { id }, _) => access.remove(&id).await,
        (args::Subscription::Pause { id }, _) => access.set_state(&id, SubscriptionState::Paused).await,
        (args::Subscription::Resume { id }, _) => access.set_state(&id, SubscriptionState::Active).await,
    }
}

impl Access {
    async fn add(&self, request: AddRequest, json: bool) -> Result<(), Failure> {
        let topic = request.topic.clone();
        let added: Added = match self {
            Self::Daemon(client) => client.post("/v1/subscriptions", &request).await?,
            Self::Direct(desk) => desk.add(request).map_err(failure)?,
        };
        if json {
            print_json(&added);
        } else if added.existed {
            print(&format!("{}\nthis robot was subscribed to {topic} already; nothing was changed", added.id));
        } else {
            print(&added.id);
        }
        Ok(())
    }

    async fn list(&self, mut query: ListQuery, json: bool) -> Result<(), Failure> {
        let mut table = Table::new(&["id", "topic", "platform", "robot", "name", "state", "endpoint"]);
        loop {
            let page: SubscriptionPage = match self {
                Self::Daemon(client) => client.get(&format!("/v1/subscriptions?{}", query_text(&query))).await?,
                Self::Direct(desk) => desk.list(&query).map_err(failure)?,
            };
            for one in page.subscriptions {
                if json {
                    print_json(&one);
                } else {
                    let name = one.name.unwrap_or_default();
                    table.row([one.id, one.topic, one.platform, one.robot, name, one.state, one.endpoint]);
                }
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        if !json {
            table.print("no subscriptions");
        }
        Ok(())
    }

    async fn show(&self, id: &str, json: bool) -> Result<(), Failure> {
        let view: SubscriptionView = match self {
            Self::Daemon(client) => client.get(&format!("/v1/subscriptions/{}", id.trim())).await?,
            Self::Direct(desk) => desk.show(id).map_err(failure)?,
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
            ("state", view.state),
            ("added", view.created_at),
        ] {
            print(&format!("{what:<10} {value}"));
        }
        Ok(())
    }

    async fn remove(&self, id: &str) -> Result<(), Failure> {
        match self {
            Self::Daemon(client) => client.order(Method::DELETE, &format!("/v1/subscriptions/{}", id.trim())).await?,
            Self::Direct(desk) => desk.remove(id).map_err(failure)?,
        }
        print("removed; the key of its webhook is destroyed");
        Ok(())
    }

    async fn set_state(&self, id: &str, state: SubscriptionState) -> Result<(), Failure> {
        let verb = if state == SubscriptionState::Paused { "pause" } else { "resume" };
        match self {
            Self::Daemon(client) => {
                client.order(Method::POST, &format!("/v1/subscriptions/{}/{verb}", id.trim())).await?;
            }
            Self::Direct(desk) => desk.set_state(id, state).map_err(failure)?,
        }
        print(state.as_str());
        Ok(())
    }
}

fn failure(refusal: Refusal) -> Failure {
    let message = refusal.to_string();
    match refusal {
        Refusal::Invalid(_) | Refusal::Unauthorized => Failure::Usage(message),
        Refusal::NotFound(_) => Failure::No(message),
        Refusal::Internal(_) => Failure::Internal(message),
    }
}

fn query_text(query: &ListQuery) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in [("topic", &query.topic), ("platform", &query.platform), ("after", &query.after)] {
        if let Some(value) = value {
            text.append_pair(key, value);
        }
    }
    text.append_pair("limit", "1000").finish()
}

/// Puts the request together. Webhook and secret are credentials, so they are never arguments: other users of the machine can read those.
fn request(add: &args::Add) -> Result<AddRequest, Failure> {
    let (endpoint, mut secret) = match &add.endpoint_file {
        Some(path) => two_lines(&read_file(path)?),
        None if io::stdin().is_terminal() => (ask("webhook URL: ")?, Some(ask("signing secret (empty for none): ")?)),
        None => {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Failure::Usage(format!("standard input cannot be read: {error}")))?;
            two_lines(&text)
        }
    };
    if let Some(path) = &add.secret_file {
        secret = Some(read_file(path)?.trim().to_owned());
    }
    if endpoint.is_empty() {
        return Err(Failure::Usage(
            "no webhook URL was given: put it on the first line of standard input or of --endpoint-file".to_owned(),
        ));
    }
    Ok(AddRequest {
        topic: add.topic.clone(),
        platform: add.platform.clone(),
        endpoint: Secret::new(endpoint),
        secret: secret.filter(|secret| !secret.is_empty()).map(Secret::new),
        keyword: add.keyword.clone(),
        name: add.name.clone(),
        mentions: MentionsWire {
            all: add.mention_all,
            mobiles: add.mention_mobile.clone(),
            users: add.mention_user.clone(),
        },
    })
}

fn two_lines(text: &str) -> (String, Option<String>) {
    let mut lines = text.lines().map(|line| line.trim().to_owned());
    (lines.next().unwrap_or_default(), lines.next())
}

fn read_file(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))
}

fn ask(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(prompt)
        .map(|text| text.trim().to_owned())
        .map_err(|error| Failure::Usage(format!("nothing could be read from the terminal: {error}")))
}
