//! Hours of traffic in seconds: the real pipeline, pace, ledger and committer on a clock that is paused, between doubles of the
//! broker, the platforms and the store, with faults that a seed draws, judged by an oracle.
//!
//! A run that fails prints its seed and the command that repeats it. `ROOMCAST_SIM_SEED` chooses the seed, `ROOMCAST_SIM_RUNS`
//! how many runs each scenario makes, from that seed upwards; `ROOMCAST_SIM_TRACE` an event whose way is told (with `--nocapture`).
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
mod chats;
mod dice;
mod directory;
mod fairness;
mod faults;
mod oracle;
mod plans;
mod policies;
mod receipts;
mod repeats;
mod scenarios;
mod session;
mod time;
mod traffic;
mod world;
