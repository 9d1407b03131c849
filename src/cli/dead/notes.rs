//! Tells a running daemon what was done with dead letters, for its history.
//!
//! Owns that the history never holds up or fails the action itself: without a daemon, or if it
//! refuses, letters are acted on without a note.
//!
//! Not here: the action (`act.rs`), and the entries (`admin/history.rs`).

use std::path::Path;

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};

use crate::{
    admin::{
        dead_letters::{done_by, facts},
        wire::{LetterActedOn, LettersActedOn, LettersNoted},
    },
    broker::{DeadLetter, DeadLetterAction},
    cli::{client::Client, exit::Failure, output::print_status},
    clock::Clock,
    history::LetterAction,
};

/// How many letters one request names.
const LETTERS: usize = 1000;

/// The notes of one action.
pub(super) struct LetterNotes {
    act: DeadLetterAction,
    /// `None` without a daemon.
    to: Option<(UnboundedSender<LetterActedOn>, JoinHandle<()>)>,
}

impl LetterNotes {
    /// Begins to send notes to the daemon at this socket, if one answers there.
    pub(super) async fn begin(socket: &Path, act: DeadLetterAction) -> Self {
        let to = Client::find(socket).await.map(|client| {
            let (to, letters) = unbounded_channel();
            (to, tokio::spawn(send(client, letters)))
        });
        Self { act, to }
    }

    /// Notes that a letter was acted on.
    pub(super) fn add(&mut self, letter: &DeadLetter) {
        let Some((to, _)) = &self.to else { return };
        let known = facts(letter);
        let note = LetterActedOn {
            discarded: done_by(self.act) == LetterAction::Discarded,
            at_millis: Clock::System.now().unix_millis(),
            letter: known.id.to_owned(),
            event: known.event.to_owned(),
            topic: known.topic.to_owned(),
            reason: known.reason.to_owned(),
            code: known.code.to_owned(),
            generation: known.generation,
            platform: known.platform,
            subscription: known.subscription,
            robot: known.robot,
        };
        // After a refusal nothing is read any more.
        let _ = to.send(note);
    }

    /// Waits until the daemon has all notes.
    pub(super) async fn finish(self) {
        if let Some((to, sent)) = self.to {
            drop(to);
            let _ = sent.await;
        }
    }
}

async fn send(client: Client, mut letters: UnboundedReceiver<LetterActedOn>) {
    let mut batch = Vec::new();
    while letters.recv_many(&mut batch, LETTERS).await > 0 {
        let request = LettersActedOn { letters: std::mem::take(&mut batch) };
        let noted = client.post::<LettersNoted>("/v1/history/letters", &request).await;
        // Without a history there is nothing to say.
        match noted {
            Ok(_) => (),
            Err(Failure::No(_)) => return,
            Err(_) => {
                print_status("the daemon did not note this in its history");
                return;
            }
        }
    }
}
