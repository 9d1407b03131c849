//! Why a text is not a valid template.
//!
//! Owns the sentences for it.
//!
//! Not here: finding the mistake (`compiled.rs`, `placeholders.rs`, `jinja.rs`).

/// SMN's limit for a template, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Why a text is not a valid template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// It is empty.
    #[error("the text is empty")]
    Empty,
    /// It is too long.
    #[error("the text has {0} bytes: at most {TEXT_BYTES_MAX} are possible")]
    TooLong(usize),
    /// It has too many placeholders.
    #[error("it has {found} placeholders: at most {max} are possible")]
    Placeholders {
        /// The number of placeholders.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// Its placeholders name too many tags.
    #[error("its placeholders name {found} tags: at most {max} are possible")]
    Tags {
        /// The number of tags.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// It is not valid Jinja.
    #[error("{0}")]
    Jinja(String),
}
