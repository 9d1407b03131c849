//! The admin API: subscriptions, templates, robots, dead letters, health, metrics. The only room that names axum.
//!
//! | route | what it does |
//! | --- | --- |
//! | `GET /healthz` | the process runs |
//! | `GET /readyz` | a session with the broker is open |
//! | `GET /metrics` | metrics for Prometheus |
//! | `POST /v1/subscriptions` | add one |
//! | `GET /v1/subscriptions` | list them, masked, a page at a time |
//! | `GET`, `PATCH`, `DELETE /v1/subscriptions/{id}` | show one, masked; change it; remove it |
//! | `POST /v1/subscriptions/{id}/pause`, `…/resume` | let it hear its topic or not |
//! | `POST /v1/subscriptions/import`, `…/export` | add some hundred; give a page, sealed for another machine |
//! | `DELETE /v1/topics/{topic}` | remove some of a topic's subscriptions; none are left when it removed none |
//! | `POST`, `GET /v1/templates` | add a text of a template; list them |
//! | `GET`, `DELETE /v1/templates/{name}` | show its texts; remove it, or with `?platform=` one of its texts |
//! | `POST /v1/templates/{name}/render` | what it says with some tags |
//! | `GET /v1/key` | which master key, and how far a change of keys has come |
//! | `POST /v1/key/rotation`, `…/rotation/in-place` | rotate to a new master key; say that it is in its place |
//! | `POST /v1/key/data` | seal everything anew under new data keys |
//! | `POST /v1/store/backup`, `…/verify` | write a backup; open every record and count |
//! | `GET /v1/overview` | what the counters say, and the robots in a few numbers |
//! | `GET /v1/robots` | robots that are busy or held |
//! | `POST /v1/robots/{id}/release` | end a hold |
//! | `POST /v1/explain` | what would become of an event, without sending it |
//! | `GET /v1/dead`, `GET /v1/dead/summary` | dead letters, a page at a time; how many there are of what kind |
//! | `GET /v1/dead/{id}` | one letter whole, and as it would be sent |
//! | `POST /v1/dead/redrive`, `…/discard` | put letters back to be tried again; delete them |
//! | `GET /v1/groups` | organisations and their monthly quota |
//! | `GET /console` | the console, if it is switched on: `console/` |
//!
//! Who may open the Unix socket may do all of this but look at the console, which is for browsers. Over TCP everything but
//! the first three asks for the token. What gives webhooks away, writes files or changes keys is for the socket alone:
//! `export`, `backup`, `rotation`, `in-place`, `data`. Each change is logged: `audit.rs`.

mod admission;
mod audit;
mod body;
mod caller;
mod connections;
mod console;
mod desk;
mod door;
mod explain;
mod hosts;
mod letter_routes;
pub mod letters;
mod overview;
mod problem;
mod routes;
mod server;
mod socket_file;
mod stand_in;
mod template_routes;
mod templates;
pub mod wire;

pub use admission::ConnectionLimits;
pub use desk::{Desk, check, check_lengths};
pub use explain::Explainer;
pub use letters::{Letters, LettersSettings};
pub use problem::Refusal;
pub use routes::Admin;
pub use server::{AdminError, Settings, bind, could_bind};
