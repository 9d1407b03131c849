//! From the notes of a former process to the state of this one, and from the state of this one to the notes that are still needed.

use std::collections::HashMap;

use super::{Hold, Note, Pace};
use crate::domain::{Moment, Platform, RobotId};

/// What a robot was sent, as far as the notes say.
struct Sent {
    platform: Platform,
    /// How many messages were begun and not answered.
    open: usize,
    answered: Vec<Moment>,
}

impl Sent {
    const fn nothing(platform: Platform) -> Self {
        Self { platform, open: 0, answered: Vec::new() }
    }
}

impl Pace {
    /// Takes up where a former process ended. A message that was begun and not answered may have arrived at any time until now.
    pub fn recall(&self, notes: impl IntoIterator<Item = Note>) {
        let now = self.now();
        let (mut sent, mut holds) = (HashMap::<RobotId, Sent>::new(), HashMap::new());
        for note in notes {
            match note {
                Note::Page => sent.values_mut().for_each(|sent| sent.open = 0),
                Note::Begun { robot, platform, .. } => {
                    sent.entry(robot).or_insert(Sent::nothing(platform)).open += 1;
                }
                Note::Answered { robot, platform, at } => {
                    let sent = sent.entry(robot).or_insert(Sent::nothing(platform));
                    sent.open = sent.open.saturating_sub(1);
                    if self.still_matters(platform, at, now) {
                        sent.answered.push(at);
                    }
                }
                Note::Booked { robot, platform, slot } if slot > now => {
                    self.0.lane(robot, platform, |lane, _, rules| lane.recall_slot(slot, rules));
                }
                Note::Held { robot, platform, at, cause, until, wait } => {
                    holds.insert(robot, (platform, at, Some(Hold { cause, until, wait })));
                }
                Note::Lifted { robot, platform, at } => {
                    if holds.get(&robot).is_none_or(|(_, since, _)| *since <= at) {
                        holds.insert(robot, (platform, at, None));
                    }
                }
                Note::Spent { group, month, used, refused_until } => {
                    self.0.groups().recall(&group, month, used, refused_until, now);
                }
                Note::Booked { .. } => (),
            }
        }
        for (robot, Sent { platform, open, answered }) in sent {
            answered.into_iter().for_each(|at| self.charge(robot, platform, at.min(now)));
            for _ in 0..open {
                self.charge(robot, platform, now);
                // If this process ends soon as well, the next one has to know as much.
                self.0.note(&Note::Answered { robot, platform, at: now });
            }
        }
        for (robot, (platform, _, hold)) in holds {
            if let Some(hold) = hold {
                self.0.lane(robot, platform, |lane, _, _| lane.recall_hold(hold));
            }
        }
    }

    /// What has to be written down again when old notes are thrown away: everything that is not about the last minutes.
    #[must_use]
    pub fn recollect(&self) -> Vec<Note> {
        let now = self.now();
        let mut notes = Vec::new();
        self.0.retain(|robot, lane, _| {
            let platform = lane.platform();
            let (in_flight, slots, hold) = lane.recollect(now);
            notes.extend((0..in_flight).map(|_| Note::Begun { robot, platform, at: now }));
            notes.extend(slots.into_iter().map(|slot| Note::Booked { robot, platform, slot }));
            if let Some(Hold { cause, until, wait }) = hold {
                notes.push(Note::Held { robot, platform, at: now, cause, until, wait });
            }
            true
        });
        let mut groups = self.0.groups();
        for group in groups.names() {
            let (month, used, refused_until) = groups.spent(&group, now);
            notes.push(Note::Spent { group, month, used, refused_until });
        }
        notes
    }

    fn still_matters(&self, platform: Platform, at: Moment, now: Moment) -> bool {
        self.0.remembers(platform).is_some_and(|span| at.after(span) > now)
    }
}
