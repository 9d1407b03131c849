//! Performs a command on the store: through the daemon if one runs, else in this process.
//!
//! Owns that choice, so a command gives the same answer with and without a daemon.
//!
//! Not here: HTTP (`client.rs`), and opening the store (`local_store.rs`).

use std::{fmt::Display, str::FromStr};

use hyper::Method;
use serde::{Serialize, de::DeserializeOwned};

use super::{client::Client, exit::Failure, local_store};
use crate::{
    admin::{ApiError, SubscriptionService},
    config::Config,
};

/// Where a command on the store is performed.
pub(super) enum Backend {
    /// By the daemon, which has the store open.
    Daemon(Client),
    /// By this process, because no daemon runs.
    LocalStore(SubscriptionService),
}

impl Backend {
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        Ok(match Client::find(&config.admin.socket).await {
            Some(client) => Self::Daemon(client),
            None => Self::LocalStore(local_store::subscriptions(config).await?),
        })
    }

    /// Like [`Self::open`], but for an existing store: it never creates one.
    pub(super) async fn open_existing(config: &Config) -> Result<Self, Failure> {
        let dir = &config.store.dir;
        let access = match Client::find(&config.admin.socket).await {
            Some(client) => return Ok(Self::Daemon(client)),
            None if dir.join("db").exists() => {
                Self::LocalStore(local_store::subscriptions(config).await?)
            }
            None => {
                return Err(Failure::No(format!(
                    "there is no store in {}; set store.dir",
                    dir.display()
                )));
            }
        };
        Ok(access)
    }

    /// Performs one command: on the daemon with this method, path and body, or on the service.
    pub(super) async fn ask<T: DeserializeOwned, B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: B,
        service: impl AsyncFnOnce(&SubscriptionService, B) -> Result<T, ApiError>,
    ) -> Result<T, Failure> {
        match self {
            Self::Daemon(client) => client.ask(method, path, &body).await,
            Self::LocalStore(direct) => service(direct, body).await.map_err(failure),
        }
    }
}

/// Parses an id or a name from the command line.
pub(super) fn parse_arg<T: FromStr<Err: Display>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|mistake: T::Err| Failure::Usage(mistake.to_string()))
}

pub(super) fn failure(refusal: ApiError) -> Failure {
    let message = refusal.to_string();
    match refusal {
        ApiError::Invalid(_)
        | ApiError::Unauthorized
        | ApiError::TooManyAttempts(_)
        | ApiError::NoSession
        | ApiError::SocketOnly
        | ApiError::UnknownHost(_)
        | ApiError::WrongMethod
        | ApiError::TooSlow(_)
        | ApiError::CrossOrigin => Failure::Usage(message),
        ApiError::NotFound(_) => Failure::No(message),
        ApiError::Unavailable(_) => Failure::Unavailable(message),
        ApiError::Internal(_) => Failure::Internal(message),
    }
}
