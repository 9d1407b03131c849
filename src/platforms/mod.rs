//! What each platform expects on the wire.
//!
//! Owns per platform: valid endpoints, rendering, signatures, the meaning of answers. All of it is
//! pure: no clock, no network, no configuration. The facts come from the platforms' documents and
//! from logs of real answers.
//!
//! Not here: sending a request (`send/`), and the settlement of a verdict (`settle/decide.rs`).

mod advice;
mod chunk;
mod digest;
mod dingtalk;
mod endpoint;
mod keyword;
mod lark;
mod markdown;
mod message;
mod native;
mod reply;
mod split;
mod text;
mod wecom;

pub use advice::{TEMPLATE_ADVICE, advice};
pub use chunk::PARTS_MAX;
pub use digest::digest;
pub use endpoint::{InvalidEndpoint, check_endpoint, check_endpoint_length, main_host};
pub use message::{
    Preview, RenderInput, RenderTarget, SignedRequest, Unsendable, UnsignedBody, Variant, prepare,
    preview, sign, write,
};
pub use native::{InvalidNativeMessage, check_native, header_colors, kind_of};
pub use reply::{HttpReply, read_answer};
