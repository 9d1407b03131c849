//! What each platform expects on the wire.
//!
//! Owns per platform: valid endpoints, rendering, signatures, the meaning of answers. All of it is
//! pure: no clock, no network, no configuration. The facts come from the platforms' documents and
//! from logs of real answers.
//!
//! Not here: sending a request (`send/`), and the settlement of a verdict (`settle/decide.rs`).

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
