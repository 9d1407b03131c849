//! What a key means; the same in every view. Small letters look, capitals change something, and those ask first.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Press {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    /// Look at what is chosen.
    Open,
    /// Go back to where one came from, or say no.
    Back,
    NextTab,
    LastTab,
    /// The view with this number, from 0.
    Tab(usize),
    /// Look again at what is not looked at all the time.
    Look,
    /// Redrive what is chosen.
    Redrive,
    /// Redrive everything that the view lists.
    RedriveAll,
    /// End the hold of the robot that is chosen.
    Release,
    Help,
    Yes,
    No,
    Quit,
    /// Leave at once.
    Leave,
}

/// What this key means, if it means anything.
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
