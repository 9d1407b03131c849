//! The options of a subscription on the disk: fields that name themselves, so that a later version can add some.
//!
//! length of all fields 2 · for each: tag 1 · length 1 · value. What is at its default is left out. A tag that is not known
//! here belongs to a later version, which meant something by it: the row is refused, not guessed.

use crate::domain::{Options, Overflow};

const OVERFLOW: u8 = 1;
const GROUP: u8 = 2;

pub(super) fn encode(options: &Options) -> Vec<u8> {
    let mut fields = Vec::new();
    match options.overflow {
        Overflow::Queue => {}
        Overflow::Digest => fields.extend([OVERFLOW, 1, 1]),
        Overflow::Latest => fields.extend([OVERFLOW, 1, 2]),
    }
    if let Some(group) = &options.group {
        let name = group.as_str().as_bytes();
        // A group's name has at most 64 bytes.
        fields.extend([GROUP, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
        fields.extend(name);
    }
    // Each field has at most 257 bytes, and there are few of them.
    let length = u16::try_from(fields.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().as_slice(), &fields].concat()
}

/// Reads options, and gives what follows them. Nothing if they are not whole, or not of this version.
pub(super) fn decode(bytes: &[u8]) -> Option<(Options, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (mut fields, after) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let mut options = Options::default();
    while let Some((&tag, rest)) = fields.split_first() {
        let (&length, rest) = rest.split_first()?;
        let (value, rest) = rest.split_at_checked(length.into())?;
        fields = rest;
        match (tag, value) {
            (OVERFLOW, [1]) => options.overflow = Overflow::Digest,
            (OVERFLOW, [2]) => options.overflow = Overflow::Latest,
            (GROUP, name) => options.group = Some(std::str::from_utf8(name).ok()?.parse().ok()?),
            _ => return None,
        }
    }
    Some((options, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_back_as_they_were_written_and_what_follows_is_given_back() {
        for overflow in Overflow::ALL {
            for group in [None, Some("g".repeat(64).parse().unwrap())] {
                let options = Options { overflow, group };
                let bytes = [encode(&options), b"record".to_vec()].concat();
                assert_eq!(decode(&bytes), Some((options, &b"record"[..])));
            }
        }
        assert_eq!(encode(&Options::default()), [0, 0]);
    }

    #[test]
    fn a_field_of_a_later_version_or_a_broken_one_is_refused() {
        for bytes in
            [&[0, 3, 99, 1, 0][..], &[0, 3, OVERFLOW, 1, 7], &[0, 2, GROUP, 0], &[0, 2, GROUP, 9], &[0, 9], &[0]]
        {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }
}
