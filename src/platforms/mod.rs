//! What each platform expects on the wire.
//!
//! Owns per platform: valid endpoints, rendering, signatures, the meaning of answers, the limits by
//! default. All of it is pure: no clock, no network, no configuration. The facts come from the
//! platforms' documents and from logs of real answers.
//!
//! Each platform is one folder, which implements the trait in `profile.rs`, and one line in
//! `registry.rs`. Files beside the folders know either no platform or only the registry.
//!
//! Not here: sending a request (`send/`), and the settlement of a verdict (`settle/decide.rs`).

mod advice;
mod answer;
mod answer_rule;
mod body;
mod chat_phrases;
mod check_endpoint;
mod chunk;
mod digest;
mod dingtalk;
mod endpoint;
mod facts;
mod field;
mod fit;
mod id_form;
mod keyword;
mod lark;
mod markdown;
mod message;
mod native;
mod omission;
mod pasted_webhook;
mod plainer;
mod profile;
mod registry;
mod reply;
mod shared_advice;
mod split;
mod test_content;
mod text;
mod webhook_hosts;
mod wecom;

pub use advice::{advice, event_advice};
pub use answer::{answer_rules, read_answer};
pub use answer_rule::{AnswerRule, Meaning};
pub use body::{TOO_LARGE, Unsendable};
pub use check_endpoint::check_endpoint;
pub use chunk::PARTS_MAX;
pub use digest::digest;
pub use endpoint::{InvalidEndpoint, check_endpoint_length};
pub use facts::{
    default_limits, header_colors, label, language, main_host, takes_secret, webhook_path,
};
pub use field::{InvalidNativeMessage, kind_of};
pub use message::{
    Preview, RenderInput, RenderTarget, SignedRequest, UnsignedBody, Variant, features, prepare,
    preview, sign, write,
};
pub use native::check_native;
pub use omission::{PLAINER_MAX, PlainerMessage, plainer};
pub use profile::{DefaultLimits, WindowLimit};
pub use reply::HttpReply;
pub use test_content::test_content;
pub use webhook_hosts::{WebhookHosts, is_flow};
