//! The values that shells propose for an option.
//!
//! Owns which closed set an option takes. Any text is accepted here: the command checks it, and its
//! sentence names what is wrong.
//!
//! Not here: the sets themselves (`domain/`), and the checks (the file of each command).

use std::ffi::OsStr;

use clap::{
    Arg, Command, Error,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
};

use crate::{
    domain::{DeadReason, Platform, every},
    history::HistoryOutcome,
};

/// A parser of texts that names the known values.
#[derive(Clone)]
pub(super) struct Suggestions(Vec<&'static str>);

impl Suggestions {
    fn platforms_and(others: &[&'static str]) -> Self {
        let names = Platform::ALL.into_iter().map(Platform::as_str);
        Self(names.chain(others.iter().copied()).collect())
    }

    /// The platforms.
    pub(super) fn platform() -> Self {
        Self::platforms_and(&[])
    }

    /// The platforms that a text of a template can belong to.
    pub(super) fn template_platform() -> Self {
        Self::platforms_and(&["default"])
    }

    /// The dead queues.
    pub(super) fn dead_platform() -> Self {
        Self::platforms_and(&["event"])
    }

    /// The reasons of dead letters.
    pub(super) fn dead_reason() -> Self {
        Self(every::<DeadReason>().map(DeadReason::as_str).collect())
    }

    /// The outcomes in the history.
    pub(super) fn history_outcome() -> Self {
        Self(every::<HistoryOutcome>().map(HistoryOutcome::as_str).collect())
    }
}

impl TypedValueParser for Suggestions {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(|name| PossibleValue::new(*name))))
    }
}
