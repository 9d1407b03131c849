//! The future that a port of the store returns.
//!
//! A port is a trait of the room that uses it. `docs/ARCHITECTURE.md` lists them all.
//!
//! Owns the rule that an answer at hand costs neither an allocation nor a turn of the scheduler:
//! the path of a delivery asks a port several times.
//!
//! Not here: the ports themselves (`fanout/subscriptions.rs`, `settle/ledger.rs`,
//! `pace/pace_log.rs`, `admin/ports.rs`).

use futures_util::{
    FutureExt,
    future::{BoxFuture, Either, Ready, ready},
};

/// The answer of a port. An implementation that has it at hand returns it with [`at_once`]. One
/// that asks a disk or a server returns [`later`].
pub type PortFuture<'a, T> = Either<Ready<T>, BoxFuture<'a, T>>;

/// An answer that is at hand.
#[must_use]
pub fn at_once<'a, T>(answer: T) -> PortFuture<'a, T> {
    Either::Left(ready(answer))
}

/// An answer that must be waited for.
pub fn later<'a, T>(answer: impl Future<Output = T> + Send + 'a) -> PortFuture<'a, T> {
    Either::Right(answer.boxed())
}
