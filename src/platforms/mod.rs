//! What each platform says on the wire: which endpoints are its own, how a message is written and signed, what an answer means.
//!
//! Pure: no clock, no network, no configuration. One file for each platform's wire form; the facts come from the platforms' own documents and
//! from logs of real answers.

mod advice;
mod answer;
mod digest;
mod dingtalk;
mod endpoint;
mod keyword;
mod lark;
mod markdown;
mod message;
mod native;
mod piece;
mod share;
mod text;
mod wecom;

pub use advice::{TEMPLATE_ADVICE, advice};
pub use answer::{Response, read_answer};
pub use digest::digest;
pub use endpoint::{EndpointMistake, check_endpoint, check_endpoint_length, main_host};
pub use message::{Draft, Prepared, Unsendable, Unsigned, Variant, prepare, sign, write};
pub use native::{NativeMistake, check_native, header_colors, kind_of};
pub use share::PARTS_MAX;
