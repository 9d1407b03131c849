//! Templates on the disk, in the tree `templates` of the database.
//!
//! - key: name, 0, platform 1 byte (0: all platforms), piece 2.
//! - piece 0: version 1 · engine 1 · format 1 (0: as the event states) · written 8 · length 4.
//! - piece 1 and later: the text, up to 4 KiB each.
//!
//! sled puts a page above 128 KiB into a file of its own, which it does not sync. So a text is
//! stored in pieces: a page contains at most sixteen of them.
//!
//! Owns the order of a change: first durable, then visible to events. Templates are in the clear,
//! because whole chats see their text. A removal does not erase the copies in sled's files.
//!
//! Not here: the compiled templates in memory (`fanout/templates/`).

use std::collections::BTreeMap;

use super::{
    StoreError,
    db::Db,
    subscriptions::{Store, StoreInner},
};
use crate::{
    domain::{Audience, Format, Platform, Template, TemplateEngine, TemplateName, Timestamp},
    fanout::{TemplateRegistry, Templates},
};

const VERSION: u8 = 1;
/// The maximum size of a piece of text, in bytes.
const PIECE_BYTES: usize = 4096;

impl Store {
    /// The templates in memory, which every change here updates.
    #[must_use]
    pub fn templates(&self) -> TemplateRegistry {
        self.0.registry.clone()
    }

    /// Adds a text of a template, or replaces it with `replace`; durable when it returns. Blocks on
    /// the disk.
    ///
    /// Returns whether anything changed: adding the same text again is not an error. The time of
    /// writing is set to now.
    pub fn add_template(&self, template: Template, replace: bool) -> Result<bool, StoreError> {
        let open = &self.0;
        let _one_at_a_time = open.writer();
        let template = Template { written_at: open.clock.now(), ..template };
        let Some(changed) = open.registry.now().with_text(template.clone(), replace)? else {
            return Ok(false);
        };
        open.db.put_template(&template)?;
        open.registry.put(changed);
        Ok(true)
    }

    /// Removes a template, or one of its texts; durable when it returns. Blocks on the disk.
    ///
    /// Returns the number of removed texts.
    pub fn remove_template(
        &self,
        name: &TemplateName,
        audience: Option<Audience>,
    ) -> Result<usize, StoreError> {
        let open = &self.0;
        let _one_at_a_time = open.writer();
        let (changed, gone) = open.registry.now().without(name, audience)?;
        open.db.remove_templates(name, &gone)?;
        open.registry.put(changed);
        Ok(gone.len())
    }
}

impl StoreInner {
    /// Every text that is on the disk now.
    pub(super) fn kept_templates(&self) -> Result<Vec<Template>, StoreError> {
        self.db.templates()
    }
}

/// Loads the templates from the disk into memory.
pub(super) fn registry(db: &Db) -> Result<TemplateRegistry, StoreError> {
    let templates = Templates::kept(db.templates()?);
    for (template, broken) in templates.all() {
        if let Some(why) = broken {
            let (name, audience) = (template.name.as_str(), template.audience.as_str());
            tracing::warn!(
                template = name,
                audience,
                %why,
                "a template cannot be read; events that name it become dead letters"
            );
        }
    }
    Ok(TemplateRegistry::new(templates))
}

impl Db {
    fn templates(&self) -> Result<Vec<Template>, StoreError> {
        let found: Vec<_> =
            self.engine().read(|trees| trees.templates.iter().collect::<Result<_, _>>())?;
        let unreadable = || self.damaged("a template cannot be read by this version");
        let mut texts: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
        for (key, piece) in &found {
            // Pieces are sorted by their number, and the length in piece 0 tells whether all of
            // them exist.
            let (text, _) = key.split_last_chunk::<2>().ok_or_else(unreadable)?;
            texts.entry(text).or_default().push(piece);
        }
        texts
            .into_iter()
            .map(|(key, pieces)| decode(key, &pieces.concat()).ok_or_else(unreadable))
            .collect()
    }

    /// Writes a text in place of the old one; durable when it returns.
    pub(super) fn put_template(&self, template: &Template) -> Result<(), StoreError> {
        let (key, value) = (key(&template.name, template.audience), encode(template));
        let (head, text) = value.split_at(HEAD_BYTES.min(value.len()));
        self.engine().write(|trees| {
            let mut batch = sled::Batch::default();
            for old in trees.templates.scan_prefix(&key).keys() {
                batch.remove(old?);
            }
            for (number, piece) in [head].into_iter().chain(text.chunks(PIECE_BYTES)).enumerate() {
                let number = u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
                batch.insert([&key[..], &number].concat(), piece);
            }
            trees.templates.apply_batch(batch)
        })
    }

    fn remove_templates(
        &self,
        name: &TemplateName,
        audiences: &[Audience],
    ) -> Result<(), StoreError> {
        self.engine().write(|trees| {
            let mut batch = sled::Batch::default();
            for audience in audiences {
                for old in trees.templates.scan_prefix(key(name, *audience)).keys() {
                    batch.remove(old?);
                }
            }
            trees.templates.apply_batch(batch)
        })
    }
}

/// The key of a text without the piece. A name contains no zero byte, so no key is a prefix of
/// another.
fn key(name: &TemplateName, audience: Audience) -> Vec<u8> {
    let platform = match audience {
        Audience::Everybody => 0,
        Audience::On(platform) => platform.number(),
    };
    [name.as_str().as_bytes(), &[0, platform]].concat()
}

const HEAD_BYTES: usize = 15;

fn encode(template: &Template) -> Vec<u8> {
    let engine = match template.engine {
        TemplateEngine::Tags => 1,
        TemplateEngine::Jinja => 2,
    };
    let format = match template.format {
        None => 0,
        Some(Format::Text) => 1,
        Some(Format::Markdown) => 2,
    };
    let written = template.written_at.unix_millis().to_be_bytes();
    // A text has at most 256 KiB.
    let length = u32::try_from(template.text.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[VERSION, engine, format], &written[..], &length, template.text.as_bytes()].concat()
}

fn decode(key: &[u8], value: &[u8]) -> Option<Template> {
    let (name, &[0, platform]) = key.split_last_chunk::<2>()? else { return None };
    let (&[VERSION, engine, format], rest) = value.split_first_chunk::<3>()? else { return None };
    let (written, rest) = rest.split_first_chunk::<8>()?;
    let (length, text) = rest.split_first_chunk::<4>()?;
    if usize::try_from(u32::from_be_bytes(*length)) != Ok(text.len()) {
        return None;
    }
    Some(Template {
        name: std::str::from_utf8(name).ok()?.parse().ok()?,
        audience: match platform {
            0 => Audience::Everybody,
            number => Audience::On(Platform::from_number(number)?),
        },
        engine: match engine {
            1 => TemplateEngine::Tags,
            2 => TemplateEngine::Jinja,
            _ => return None,
        },
        format: match format {
            0 => None,
            1 => Some(Format::Text),
            2 => Some(Format::Markdown),
            _ => return None,
        },
        text: std::str::from_utf8(text).ok()?.to_owned(),
        written_at: Timestamp::from_unix_millis(u64::from_be_bytes(*written)),
    })
}

/// A text in a backup: length of the key 1 byte · key · head and text.
pub(super) fn to_backup(template: &Template) -> Vec<u8> {
    let key = key(&template.name, template.audience);
    // A name has at most 64 bytes.
    [&[u8::try_from(key.len()).unwrap_or(u8::MAX)], &key[..], &encode(template)].concat()
}

/// Decodes a text from a backup; `None` if it is damaged or of an unknown version.
pub(super) fn from_backup(bytes: &[u8]) -> Option<Template> {
    let (&length, rest) = bytes.split_first()?;
    let (key, value) = rest.split_at_checked(length.into())?;
    decode(key, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_back_as_it_was_written_and_a_newer_one_is_not_guessed() {
        for audience in Platform::ALL.map(Audience::On).into_iter().chain([Audience::Everybody]) {
            for (engine, format) in [
                (TemplateEngine::Tags, None),
                (TemplateEngine::Jinja, Some(Format::Text)),
                (TemplateEngine::Tags, Some(Format::Markdown)),
            ] {
                let template = Template {
                    name: "x".repeat(64).parse().unwrap(),
                    audience,
                    engine,
                    format,
                    text: "{磁盘}\0\n".to_owned(),
                    written_at: Timestamp::from_unix_millis(7),
                };
                assert_eq!(
                    decode(&key(&template.name, audience), &encode(&template)),
                    Some(template.clone())
                );
                let kept = to_backup(&template);
                assert_eq!(from_backup(&kept), Some(template.clone()));
                for bytes in [&[][..], &kept[..40], &[255; 20]] {
                    assert_eq!(from_backup(bytes), None);
                }
                for at in 0..3 {
                    let mut newer = encode(&template);
                    newer[at] = 9;
                    assert_eq!(decode(&key(&template.name, audience), &newer), None);
                }
            }
        }
    }
}
