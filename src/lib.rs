//! roomcast: one publish to an AMQP exchange reaches every group chat that subscribed.
//!
//! The modules, in the order in which an event passes them: `broker` consumes messages. `fanout`
//! decodes them and expands them into deliveries. `pace` decides when each delivery may be sent.
//! `send` makes the attempt. `settle` decides what the answer means and stores the next step.
//! `pipeline` shows the whole job on one page. `history` keeps what became of each delivery.
//! `domain` holds the types that they share.
//!
//! Owns the list of modules. `docs/ARCHITECTURE.md` is the map.
//!
//! Not here: the emulator of the platforms (`src/bin/roomcast-emulator`), which shares no code with
//! the library.

pub mod admin;
pub mod app;
pub mod broker;
mod ca_file;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod fanout;
pub mod history;
pub mod pace;
pub mod pipeline;
pub mod platforms;
pub mod port;
pub mod private_file;
pub mod send;
pub mod settings;
pub mod settle;
pub mod store;
pub mod telemetry;
