//! The keys of `roomcast top`; they mean the same in every view.
//!
//! Owns that lower-case letters only look, and that upper-case letters change
//! something after a confirmation.
//!
//! Not here: what a key does (`state.rs`, `act.rs`).

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// The meaning of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Press {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    /// Open the selected row.
    Open,
    /// Go back one view, or answer no.
    Back,
    NextTab,
    LastTab,
    /// The view with this number, from 0.
    Tab(usize),
    /// Fetch again the data that is not fetched continuously.
    Look,
    /// Redrive the selected letter or kind.
    Redrive,
    /// Redrive all letters that the view lists.
    RedriveAll,
    /// End the hold of the selected robot.
    Release,
    Help,
    Yes,
    No,
    Quit,
    /// Leave at once.
    Leave,
}

/// The meaning of a key, if it has one.
pub(super) fn press(key: KeyEvent) -> Option<Press> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Press::Leave),
            KeyCode::Char('f') => Some(Press::PageDown),
            KeyCode::Char('b') => Some(Press::PageUp),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Up | KeyCode::Char('k') => Press::Up,
        KeyCode::Down | KeyCode::Char('j') => Press::Down,
        KeyCode::PageUp => Press::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Press::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Press::First,
        KeyCode::End | KeyCode::Char('G') => Press::Last,
        KeyCode::Enter | KeyCode::Right => Press::Open,
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => Press::Back,
        KeyCode::Tab => Press::NextTab,
        KeyCode::BackTab => Press::LastTab,
        KeyCode::Char('r') => Press::Look,
        KeyCode::Char('R') => Press::Redrive,
        KeyCode::Char('A') => Press::RedriveAll,
        KeyCode::Char('L') => Press::Release,
        KeyCode::Char('?' | 'h') => Press::Help,
        KeyCode::Char('y' | 'Y') => Press::Yes,
        KeyCode::Char('n' | 'N') => Press::No,
        KeyCode::Char('q') => Press::Quit,
        KeyCode::Char(digit @ '1'..='5') => Press::Tab(usize::from(digit as u8 - b'1')),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_change_something_and_small_letters_look() {
        let of = |letter| press(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE));
        assert_eq!((of('r'), of('R'), of('A'), of('L')), {
            (Some(Press::Look), Some(Press::Redrive), Some(Press::RedriveAll), Some(Press::Release))
        });
        assert_eq!((of('a'), of('l'), of('6'), of('0')), (None, None, None, None));
        assert_eq!((of('1'), of('5')), (Some(Press::Tab(0)), Some(Press::Tab(4))));
    }

    #[test]
    fn control_c_leaves_and_a_key_that_is_let_go_means_nothing() {
        let control = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(press(control), Some(Press::Leave));
        assert_eq!(press(KeyEvent::new_with_kind(KeyCode::Char('q'), KeyModifiers::NONE, KeyEventKind::Release)), None);
        assert_eq!(press(KeyEvent::new(KeyCode::Char('r'), KeyModifiers::CONTROL)), None, "only a letter alone");
    }
}
