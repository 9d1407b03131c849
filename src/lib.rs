//! roomcast: one publish to an AMQP exchange reaches every group chat that subscribed.
//!
//! The rooms, in the order in which an event passes them: `broker` hands over messages, `fanout` decodes them and
//! expands them into deliveries, `pace` says when each may leave, `send` makes the attempt, `settle` decides
//! what its answer means and stores the next step. `pipeline` shows the whole job on one page; `domain` holds
//! the words that they share. `docs/ARCHITECTURE.md` is the map.

pub mod admin;
pub mod app;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod fanout;
pub mod pace;
pub mod pipeline;
pub mod platforms;
pub mod private_file;
pub mod send;
pub mod settle;
pub mod store;
pub mod telemetry;
