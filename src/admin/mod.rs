//! The admin API: subscriptions, templates, robots, dead letters, health, metrics.
//!
//! Owns HTTP: no other module names axum.
//!
//! Not here: the client of the API (`cli/client.rs`), and the list of metrics (`telemetry`).
//!
//! | route | what it does |
//! | --- | --- |
//! | `GET /healthz` | the process runs |
//! | `GET /readyz` | a session with the broker is open |
//! | `GET /metrics` | metrics for Prometheus |
//! | `POST /v1/subscriptions` | add one |
//! | `GET /v1/subscriptions` | list them, masked, a page at a time |
//! | `GET`, `PATCH`, `DELETE /v1/subscriptions/{id}` | show one, masked; change; remove |
//! | `POST /v1/subscriptions/{id}/pause`, `…/resume` | pause it; activate it again |
//! | `POST /v1/subscriptions/{id}/test` | send a test message to its robot |
//! | `POST /v1/subscriptions/import`, `…/export` | add some hundred; get a page, sealed |
//! | `GET /v1/topics` | topics with subscriptions, and those of the events since the start |
//! | `DELETE /v1/topics/{topic}` | remove some of a topic's subscriptions, until it removes none |
//! | `POST`, `GET /v1/templates` | add a text of a template; list them |
//! | `GET`, `DELETE /v1/templates/{name}` | show its texts; remove all, or one with `?platform=` |
//! | `POST /v1/templates/{name}/render` | render it with some tags |
//! | `GET /v1/key` | the master key's id, and the progress of a rotation |
//! | `POST /v1/key/rotation`, `…/rotation/in-place` | rotate the master key; confirm its place |
//! | `POST /v1/key/data` | seal everything again under new data keys |
//! | `POST /v1/store/backup`, `…/verify` | write a backup; check every record |
//! | `GET /v1/overview` | the counters, and a summary of the robots |
//! | `GET /v1/robots` | robots that are busy or held |
//! | `POST /v1/robots/{id}/release` | end a hold |
//! | `POST /v1/explain` | explain an event without sending it |
//! | `GET /v1/dead`, `GET /v1/dead/summary` | dead letters, a page at a time; their counts |
//! | `GET /v1/dead/{id}` | one letter with all details, and its rendered message |
//! | `POST /v1/dead/redrive`, `…/discard` | put letters back to be tried again; delete them |
//! | `GET /v1/history` | what happened to deliveries, the newest first, a page at a time |
//! | `GET /v1/events/{id}` | the life of one event |
//! | `GET /v1/groups` | organisations and their monthly quota |
//! | `GET /console` | the console, if it is enabled: `console/` |
//!
//! A caller on the Unix socket may do all of this except use the console, which is for browsers.
//! Over TCP, all routes except the first three need the token, and the console needs a session.
//! Routes that reveal webhooks, write files or change keys exist only on the socket: `export`,
//! `backup`, `rotation`, `in-place`, `data`. Each change is logged: `audit.rs`.

mod admission;
mod allowed_hosts;
mod audit;
mod authenticator;
mod blocking;
mod body;
mod caller;
mod catalogue;
mod components;
mod connections;
mod console;
mod dead_letter_routes;
pub mod dead_letters;
mod error;
mod explain;
mod explained_outcome;
mod history;
mod history_routes;
mod history_view;
mod listen_error;
mod overview;
mod pace_views;
mod params;
pub(crate) mod phrases;
pub mod ports;
mod render_target;
mod routes;
mod server;
mod socket_file;
mod subscriptions;
mod template_routes;
mod templates;
mod test_message;
mod topics;
pub mod wire;

pub use admission::ConnectionLimits;
pub use components::Admin;
pub use dead_letters::{DeadLetterService, DeadLetterServiceSettings};
pub use error::ApiError;
pub use explain::Explainer;
pub use history::HistoryService;
pub use listen_error::AdminError;
pub use server::{AdminSettings, ServerSettings, bind, could_bind};
pub use subscriptions::{SubscriptionService, check, check_lengths};
pub use topics::CountedTopics;
