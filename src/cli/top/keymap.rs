//! The keys of `roomcast top`; they mean the same in every view.
//!
//! Owns that lower-case letters only look, and that upper-case letters change
//! something after a confirmation.
//!
//! Not here: what a key does (`state.rs`, `act.rs`).

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// The meaning of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyAction {
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
    Refresh,
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
pub(super) fn press(key: KeyEvent) -> Option<KeyAction> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(KeyAction::Leave),
            KeyCode::Char('f') => Some(KeyAction::PageDown),
            KeyCode::Char('b') => Some(KeyAction::PageUp),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Up | KeyCode::Char('k') => KeyAction::Up,
        KeyCode::Down | KeyCode::Char('j') => KeyAction::Down,
        KeyCode::PageUp => KeyAction::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => KeyAction::PageDown,
        KeyCode::Home | KeyCode::Char('g') => KeyAction::First,
        KeyCode::End | KeyCode::Char('G') => KeyAction::Last,
        KeyCode::Enter | KeyCode::Right => KeyAction::Open,
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => KeyAction::Back,
        KeyCode::Tab => KeyAction::NextTab,
        KeyCode::BackTab => KeyAction::LastTab,
        KeyCode::Char('r') => KeyAction::Refresh,
        KeyCode::Char('R') => KeyAction::Redrive,
        KeyCode::Char('A') => KeyAction::RedriveAll,
        KeyCode::Char('L') => KeyAction::Release,
        KeyCode::Char('?' | 'h') => KeyAction::Help,
        KeyCode::Char('y' | 'Y') => KeyAction::Yes,
        KeyCode::Char('n' | 'N') => KeyAction::No,
        KeyCode::Char('q') => KeyAction::Quit,
        KeyCode::Char(digit @ '1'..='5') => KeyAction::Tab(usize::from(digit as u8 - b'1')),
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
            (
                Some(KeyAction::Refresh),
                Some(KeyAction::Redrive),
                Some(KeyAction::RedriveAll),
                Some(KeyAction::Release),
            )
        });
        assert_eq!((of('a'), of('l'), of('6'), of('0')), (None, None, None, None));
        assert_eq!((of('1'), of('5')), (Some(KeyAction::Tab(0)), Some(KeyAction::Tab(4))));
    }

    #[test]
    fn control_c_leaves_and_a_key_that_is_let_go_means_nothing() {
        let control = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(press(control), Some(KeyAction::Leave));
        assert_eq!(
            press(KeyEvent::new_with_kind(
                KeyCode::Char('q'),
                KeyModifiers::NONE,
                KeyEventKind::Release
            )),
            None
        );
        assert_eq!(
            press(KeyEvent::new(KeyCode::Char('r'), KeyModifiers::CONTROL)),
            None,
            "only a letter alone"
        );
    }
}
