//! The simulation: hours of traffic in seconds.
//!
//! The real pipeline, pacer, ledger and committer run on a paused clock, between doubles of the
//! broker, the platforms and the store. A seed selects the faults, and an oracle judges each run.
//!
//! A failed run prints its seed and the command to repeat it. `ROOMCAST_SIM_SEED` selects the seed.
//! `ROOMCAST_SIM_RUNS` sets the number of runs of each scenario, from that seed upwards.
//! `ROOMCAST_SIM_TRACE` names an event whose history is printed (with `--nocapture`).
//!
//! Owns the list of its files.
//!
//! Not here: tests with real processes (`tests/it/`).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs,
    reason = "a test that meets the unexpected fails by panicking"
)]

mod broker;
mod changes;
mod chats;
mod dice;
mod directory;
mod fairness;
mod faults;
mod oracle;
mod outages;
mod plans;
mod policies;
mod receipts;
mod repeats;
mod scenarios;
mod session;
mod time;
mod traffic;
mod world;
