//! Performs a command on the store: through the daemon if one runs, else in this process.
//!
//! Owns that choice, so a command gives the same answer with and without a daemon.
//!
//! Not here: HTTP (`client.rs`), and opening the store (`offline.rs`).

use std::{fmt::Display, str::FromStr};

use hyper::Method;
use serde::{Serialize, de::DeserializeOwned};

use super::{client::Client, exit::Failure, offline};
use crate::{
    admin::{Desk, Refusal},
    config::Config,
};

/// Where a command on the store is performed.
pub(super) enum Access {
    /// By the daemon, which has the store open.
    Daemon(Client),
    /// By this process, because no daemon runs.
    Direct(Desk),
}

impl Access {
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        Ok(match Client::find(&config.admin.socket).await {
            Some(client) => Self::Daemon(client),
            None => Self::Direct(Desk::new(offline::open_store(config)?)),
        })
    }

    /// Like [`Self::open`], but for an existing store: it never creates one.
    pub(super) async fn open_existing(config: &Config) -> Result<Self, Failure> {
        let dir = &config.store.dir;
        let access = match Client::find(&config.admin.socket).await {
            Some(client) => return Ok(Self::Daemon(client)),
            None if dir.join("db").exists() => Self::Direct(Desk::new(offline::open_store(config)?)),
            None => return Err(Failure::No(format!("there is no store in {}; set store.dir", dir.display()))),
        };
        Ok(access)
    }

    /// Performs one command: on the daemon with this method, path and body, or on the desk.
    pub(super) async fn ask<T: DeserializeOwned, B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: B,
        desk: impl FnOnce(&Desk, B) -> Result<T, Refusal>,
    ) -> Result<T, Failure> {
        match self {
            Self::Daemon(client) => client.ask(method, path, &body).await,
            Self::Direct(direct) => desk(direct, body).map_err(failure),
        }
    }
}

/// Parses an id or a name from the command line.
pub(super) fn typed<T: FromStr<Err: Display>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|mistake: T::Err| Failure::Usage(mistake.to_string()))
}

pub(super) fn failure(refusal: Refusal) -> Failure {
    let message = refusal.to_string();
    match refusal {
        Refusal::Invalid(_)
        | Refusal::Unauthorized
        | Refusal::TooManyTries(_)
        | Refusal::NoSession
        | Refusal::SocketOnly
        | Refusal::UnknownHost(_)
        | Refusal::WrongMethod
        | Refusal::TooSlow(_)
        | Refusal::Foreign => Failure::Usage(message),
        Refusal::NotFound(_) => Failure::No(message),
        Refusal::Unavailable(_) => Failure::Unavailable(message),
        Refusal::Internal(_) => Failure::Internal(message),
    }
}
