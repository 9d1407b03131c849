//! The texts that more than one user interface shows: console, terminal view, commands and API.
//!
//! Owns each of them. They begin in lower case and have no full stop, as commands show them; the
//! console makes sentences of them.
//!
//! Not here: texts of one interface (beside it), and the labels of reasons and outcomes
//! (`catalogue.rs` collects them).

/// Declares the texts, and the list of them for the console's page.
macro_rules! phrases {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        $($(#[$doc])* pub(crate) const $name: &str = $text;)+

        /// Every text with its key.
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

phrases! {
    /// The dead queues are empty.
    NO_DEAD_LETTERS = "there are no dead letters";
    /// The dead queues have letters, but none that a filter selects.
    NO_LETTER_MATCHES = "no dead letter matches";
    /// The dead queues are read at the moment.
    READING_DEAD_QUEUES = "looking through the dead queues…";
    /// In place of the platform: the letter's message was not a readable event.
    NO_EVENT = "no readable event";
    /// In place of the name of a subscription.
    NO_NAME = "without a name";
    /// In place of a time to drain, if nothing gets through.
    UNKNOWN = "unknown";
    /// The list of robots is empty.
    NO_ROBOT = "no robot is busy or held: nothing waits";
    /// The robot that should be released was not held.
    NOT_HELD = "the robot was not held any more";
    /// The list of organisations is empty.
    NO_GROUP = "no organisation is configured ([groups.NAME]) or named by a delivery \
        (subscription --group)";
    /// An action was refused or not confirmed.
    NOTHING_CHANGED = "nothing was changed";
    /// The daemon is not connected to the broker.
    NO_SESSION = "no session with the broker";
    /// The history has no entry that a filter selects.
    NO_HISTORY = "the history has nothing that matches";
    /// No history is kept.
    HISTORY_OFF = "there is no history: history.retention or history.bytes_max is 0, or its files \
        could not be opened at the start";
    /// The rate of deliveries.
    DELIVERED_PER_SECOND = "delivered per second";
}

/// There is no dead letter with this id.
pub(crate) fn no_such_letter(id: &str) -> String {
    format!("there is no dead letter {id}")
}
