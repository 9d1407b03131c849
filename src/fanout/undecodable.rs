//! The mistake in a message that is not a readable event.
//!
//! Owns the form of the mistake, and that a panic while reading counts as a fault of the daemon.
//!
//! Not here: the rules that a message breaks (`decode.rs` and the files that it calls).

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::domain::{DeadReason, Headers, bytes_of, panic_message};

/// The mistake in a message that is not a readable event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// The kind of mistake: `damaged`, `size`, `headers_too_large`, `topic`, `receipt`, `json`,
    /// `not_before`, `content`, `blank`, `template`, `headers`, or `panic` for a fault of the
    /// daemon.
    pub code: &'static str,
    /// The place and the mistake in one sentence.
    pub detail: String,
}

impl Undecodable {
    /// The reason of the dead letter.
    #[must_use]
    pub fn reason(&self) -> DeadReason {
        match self.code {
            PANIC => DeadReason::Poison,
            BLANK => DeadReason::Empty,
            _ => DeadReason::Undecodable,
        }
    }
}

const PANIC: &str = "panic";
const BLANK: &str = "blank";

/// Runs `read`, and again after a panic. A second panic becomes the mistake.
pub(super) fn catch_panic<T>(read: impl Fn() -> Result<T, Undecodable>) -> Result<T, Undecodable> {
    let once = || catch_unwind(AssertUnwindSafe(&read));
    once().or_else(|_| once()).unwrap_or_else(|panic| {
        let words = panic_message(&*panic);
        Err(Undecodable {
            code: PANIC,
            detail: format!("roomcast failed twice in reading it: {words}"),
        })
    })
}

/// A mistake in the content of an event.
pub(super) fn mistake(detail: impl Into<String>) -> Undecodable {
    Undecodable { code: "content", detail: detail.into() }
}

/// Refuses headers of more than `max` bytes.
///
/// # Errors
///
/// They have more. The detail names the largest.
pub fn headers_within(headers: &Headers, max: usize) -> Result<(), Undecodable> {
    let size = bytes_of(headers);
    if size <= max {
        return Ok(());
    }
    let largest = headers.iter().max_by_key(|(_, value)| value.bytes());
    let (name, bytes) = largest.map_or(("", 0), |(name, value)| (name.as_str(), value.bytes()));
    Err(Undecodable {
        code: "headers_too_large",
        detail: format!(
            "the headers have {size} bytes: at most {max} go along with a message; \
             the largest is {name:?} with {bytes}"
        ),
    })
}

/// An event of which a member would see nothing.
pub(super) fn blank(detail: impl Into<String>) -> Undecodable {
    Undecodable { code: BLANK, detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_panic_while_reading_costs_a_second_try_and_then_the_message() {
        let tries = Cell::new(0);
        let failing = |times: u32| {
            tries.set(0);
            catch_panic(|| {
                tries.set(tries.get() + 1);
                assert!(tries.get() > times, "in the way");
                Ok(tries.get())
            })
        };
        assert_eq!((failing(0), failing(1)), (Ok(1), Ok(2)));
        let given_up = failing(2).unwrap_err();
        assert_eq!((given_up.reason(), tries.get()), (DeadReason::Poison, 2));
        assert_eq!(given_up.detail, "roomcast failed twice in reading it: in the way");
        let refused = catch_panic(|| Err::<(), _>(mistake("what it says"))).unwrap_err();
        assert_eq!(refused.reason(), DeadReason::Undecodable);
        assert_eq!(blank("it says nothing").reason(), DeadReason::Empty);
    }
}
