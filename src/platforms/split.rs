//! Where a text may be cut.
//!
//! Owns the preferences: between blocks, else at a line, else at a word. A cut avoids links and
//! other markup that fit elsewhere. A code block is closed before the cut and opened again after
//! it.
//!
//! Not here: how many pieces a text has, and their numbers (`chunk.rs`).

use std::{borrow::Cow, ops::Range};

use linkify::{LinkFinder, LinkKind};

use super::text::{AnnotatedText, Cost, Fence, cut};

/// A cut at a line or the end of a block is accepted if less than one part in this many of the
/// piece stays unused.
const GIVEN_AWAY: usize = 4;
/// The same for the end of a word, which matters less.
const GIVEN_AWAY_FOR_A_WORD: usize = 16;
/// A link is searched for within this many bytes around the cut.
const LINK_BYTES_MAX: usize = 2_048;

/// The fate of the text behind a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FollowedBy {
    /// Nothing: the rest is left out, so the piece contains as much as possible.
    Nothing,
    /// Another piece, which can contain a torn part whole.
    More,
}

/// A piece of a text.
#[derive(Debug)]
pub(super) struct TextSlice<'a> {
    /// Its range in the text.
    pub(super) range: Range<usize>,
    /// The markup to put before it, because it begins inside a block.
    pub(super) opening: &'a str,
    /// The markup to put after it, because it ends inside a block.
    pub(super) closing: &'a str,
}

impl AnnotatedText {
    /// The piece from `from` that costs at most `max` together with its opening and closing. It is
    /// never empty while text remains.
    pub(super) fn piece(
        &self,
        from: usize,
        max: usize,
        cost: Cost,
        after: FollowedBy,
    ) -> TextSlice<'_> {
        let opening = self
            .fences
            .iter()
            .find(|fence| fence.inner.start < from && from < fence.inner.end)
            .map_or("", |fence| fence.opening.as_str());
        let spent = if opening.is_empty() { 0 } else { total(opening, cost) + cost('\n') };
        let cutting = Splitter { flow: self, from, max: max.saturating_sub(spent), cost, after };
        let (end, closing) = cutting.end();
        TextSlice { range: from..end, opening, closing }
    }

    /// A piece as it is shown, without blanks at its edges. Its outer line feeds only separate it
    /// from its neighbours.
    pub(super) fn shown(&self, piece: &TextSlice<'_>) -> Cow<'_, str> {
        let text = self.text.get(piece.range.clone()).unwrap_or_default().trim_end();
        match piece.opening {
            _ if piece.range.start == 0 => text.into(),
            // Plain text keeps the indentation of its lines.
            "" if self.ends.is_empty() => text.trim_start_matches(['\n', '\r']).into(),
            "" => text.trim_start().into(),
            _ if text.starts_with('\n') => text.into(),
            _ => format!("\n{text}").into(),
        }
    }
}

/// One search for the end of a piece.
struct Splitter<'a> {
    flow: &'a AnnotatedText,
    from: usize,
    max: usize,
    cost: Cost,
    after: FollowedBy,
}

impl<'a> Splitter<'a> {
    /// The end of the piece, and the markup that closes it there.
    fn end(&self) -> (usize, &'a str) {
        let rest = self.flow.text.get(self.from..).unwrap_or_default();
        let least = self.from + rest.chars().next().map_or(0, char::len_utf8);
        let most = self.reach(self.max).max(least);
        if most >= self.flow.text.len() {
            return (self.flow.text.len(), "");
        }
        let torn =
            self.flow.fences.iter().find(|fence| fence.all.start < most && most < fence.all.end);
        let (end, closing) = match torn {
            Some(fence) => self.in_fence(fence, most),
            None => (self.in_line(most), ""),
        };
        (end.max(least), closing)
    }

    /// The end of the longest text from `from` with this cost.
    fn reach(&self, max: usize) -> usize {
        self.from + cut(self.flow.text.get(self.from..).unwrap_or_default(), max, self.cost).len()
    }

    /// The cut for a place inside a block. It is before the block if the block fits elsewhere or if
    /// little stays unused, otherwise at a line in it.
    fn in_fence(&self, fence: &'a Fence, most: usize) -> (usize, &'a str) {
        let begins = fence.all.start > self.from;
        let whole = self.flow.text.get(fence.all.clone()).unwrap_or_default();
        let fits = self.after == FollowedBy::More && total(whole, self.cost) <= self.max;
        if begins && (fits || self.is_near(fence.all.start, most, GIVEN_AWAY)) {
            return (fence.all.start, "");
        }
        let room = self.reach(self.max.saturating_sub(total(&fence.closing, self.cost)));
        if room >= fence.inner.end {
            return (fence.all.end.min(most), "");
        }
        let line = self.at_line(room);
        let at = if line > fence.inner.start && self.is_near(line, room, GIVEN_AWAY) {
            line
        } else {
            room
        };
        match () {
            () if at > fence.inner.start.max(self.from) => (at, &fence.closing),
            () if begins => (fence.all.start, ""),
            () => (most, ""),
        }
    }

    /// The best cut up to `most`, for a place outside of all fenced blocks.
    fn in_line(&self, most: usize) -> usize {
        let block =
            self.flow.ends.iter().copied().take_while(|end| *end <= most).last().unwrap_or(0);
        if self.is_near(block, most, GIVEN_AWAY) {
            return block;
        }
        let line = self.at_line(most);
        if self.is_near(line, most, GIVEN_AWAY) {
            return line;
        }
        let at =
            self.flow.solid.iter().find(|solid| solid.start < most && most < solid.end).cloned();
        if let Some(torn) = at.or_else(|| self.link_at(most)) {
            return if self.goes_elsewhere(&torn, most) { torn.start } else { most };
        }
        let word =
            self.flow.text.get(self.from..most).and_then(|text| text.rfind(char::is_whitespace));
        let word = word.map_or(0, |at| self.from + at);
        // The last blank may be inside a link that ends before the place. Then the word ends with
        // that link.
        let around = self.flow.solid.iter().find(|solid| solid.start < word && word < solid.end);
        let word = around.map_or(word, |solid| solid.end);
        if self.is_near(word, most, GIVEN_AWAY_FOR_A_WORD) { word } else { most }
    }

    /// Whether a torn part moves to the next piece: if it fits there, or if enough of this piece
    /// remains in use.
    fn goes_elsewhere(&self, torn: &Range<usize>, most: usize) -> bool {
        let whole = self.flow.text.get(torn.clone()).unwrap_or_default();
        let fits = self.after == FollowedBy::More && total(whole, self.cost) <= self.max;
        torn.start > self.from && (fits || torn.start - self.from > (most - self.from) / GIVEN_AWAY)
    }

    /// The bare link that spans a place.
    fn link_at(&self, at: usize) -> Option<Range<usize>> {
        let text = &self.flow.text;
        let begin = text.floor_char_boundary(at.saturating_sub(LINK_BYTES_MAX).max(self.from));
        let end = text.floor_char_boundary((at + LINK_BYTES_MAX).min(text.len()));
        let window = text.get(begin..end)?;
        let mut finder = LinkFinder::new();
        finder.kinds(&[LinkKind::Url]);
        let links = finder.links(window).map(|link| begin + link.start()..begin + link.end());
        links.into_iter().find(|link| link.start < at && at < link.end)
    }

    /// The last line end before `at`, or 0.
    fn at_line(&self, at: usize) -> usize {
        let text = self.flow.text.get(self.from..at).unwrap_or_default();
        text.rfind('\n').map_or(0, |line| self.from + line)
    }

    /// Whether a cut at `place` instead of `most` leaves little unused.
    fn is_near(&self, place: usize, most: usize, given_away: usize) -> bool {
        place > self.from && place > most - (most - self.from) / given_away
    }
}

fn total(text: &str, cost: Cost) -> usize {
    text.chars().map(cost).sum()
}
