//! Integration tests: the real binary against a private RabbitMQ and the emulated platforms.
//!
//! Owns the list of these tests.
//!
//! Not here: the same pipeline over hours of simulated time (`tests/sim/`).
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

mod admin_flood;
mod audit;
mod blocked;
mod bytes;
mod carried;
mod check;
mod console;
mod console_guard;
mod content_per_platform;
mod crash;
mod dead;
mod dead_asked;
mod dead_count;
mod dead_letters;
mod dead_many;
mod degraded;
mod delivery;
mod explain;
mod failing;
mod fairness;
mod history;
mod hostile;
mod lark_size;
mod leaks;
mod limits;
mod log;
mod message;
mod metrics;
mod outgoing;
mod overflow;
mod pacing;
mod parts;
mod private_files;
mod receipts;
mod receipts_faults;
mod reload;
mod replaced;
mod sessions;
mod shared_routes;
mod soak;
mod startup;
mod store;
mod store_crash;
mod support;
mod systemd;
mod template;
mod timing;
mod tls;
mod top;
mod traces;
mod wait_reasons;
mod words;
