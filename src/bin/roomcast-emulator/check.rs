//! The checks of a request before the quota.
//!
//! Owns their order, which decides the error code if several checks fail.
//!
//! Not here: the error codes of a platform (`dingtalk.rs`, `lark.rs`, `wecom.rs`), and the quota
//! (`quota.rs`).

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use serde_json::Value;

use crate::dialect::{Cause, Dialect, Query, Refusal};
use crate::message::Message;
use crate::robots::{RobotState, Setup};

/// The parts of a request that a platform checks.
pub(crate) struct Post {
    /// The robot's token, if the URL has one.
    pub(crate) token: Option<String>,
    /// The decoded query.
    pub(crate) query: Query,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The raw body.
    pub(crate) raw: Bytes,
}

/// The input of all checks before the quota.
pub(crate) struct Check<'a> {
    /// The platform's error codes and rules.
    pub(crate) dialect: &'static dyn Dialect,
    /// The robot, if it ever existed.
    pub(crate) robot: Option<&'a Setup>,
    /// The request.
    pub(crate) post: &'a Post,
    /// The parsed body, if it is JSON.
    pub(crate) body: Option<&'a Value>,
}

impl Check<'_> {
    /// The platform's verdict at this time of its clock.
    pub(crate) fn verdict(
        &self,
        reading: Option<&Result<Message, Refusal>>,
        clock_ms: i64,
    ) -> Result<(), Refusal> {
        let no = |cause| self.dialect.refuse(cause);
        match self.post.token.as_deref() {
            None => return Err(no(Cause::TokenMissing)),
            Some("") => return Err(no(Cause::TokenBlank)),
            Some(_) => {}
        }
        let robot = self.robot.ok_or_else(|| no(Cause::NoSuchRobot))?;
        match robot.state {
            RobotState::Ok => {}
            RobotState::Gone => return Err(no(Cause::NoSuchRobot)),
            RobotState::Disabled => return Err(no(Cause::Disabled)),
        }
        if !is_json(&self.post.headers) {
            return Err(no(Cause::ContentType));
        }
        if self.post.raw.is_empty() {
            return Err(no(Cause::EmptyBody));
        }
        let (body, reading) = self.body.zip(reading).ok_or_else(|| no(Cause::NotJson))?;
        if !body.is_object() {
            return Err(no(Cause::NotObject));
        }
        if let Some(secret) = &robot.secret {
            self.dialect.check_signature(secret, &self.post.query, body, clock_ms)?;
        }
        if self.dialect.body_limit().is_some_and(|limit| self.post.raw.len() > limit) {
            return Err(no(Cause::TooLarge));
        }
        let message = reading.as_ref().map_err(Refusal::clone)?;
        if let Some(refusal) =
            self.dialect.refuse_mentions(body, &message.mentions, robot.mentionable())
        {
            return Err(refusal);
        }
        if robot.keyword.as_ref().is_some_and(|keyword| !message.contains(keyword)) {
            return Err(no(Cause::Keyword));
        }
        Ok(())
    }
}

/// Whether the content type is JSON, with or without a charset.
fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_content_type_may_name_a_charset_but_not_another_type() {
        let says_json = |kind| {
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]))
        };
        assert!(says_json("application/json"));
        assert!(says_json("Application/JSON; charset=utf-8"));
        assert!(!says_json("application/jsonp"));
        assert!(!says_json("application/x-www-form-urlencoded"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
