//! What the console asks for and is told, besides what the API has for everybody.

use serde::{Deserialize, Serialize};

use super::{RobotView, credential};
use crate::domain::Secret;

/// `POST /console/api/session`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The admin token.
    #[serde(with = "credential::required")]
    pub token: Secret,
}

/// What the page has to know of its session; the session's own id is in a cookie that scripts cannot read.
#[derive(Serialize)]
pub struct Session {
    /// Shown with every request that changes something, so that no other page can make one.
    pub csrf: String,
    /// Which roomcast this is.
    pub version: &'static str,
}

/// The robots one by one.
#[derive(Serialize)]
pub struct Robots {
    /// At which moment, in milliseconds since 1970.
    pub at: u64,
    /// Those that are held, and the busiest of the others.
    pub robots: Vec<RobotView>,
    /// How many more are busy.
    pub more: usize,
}
