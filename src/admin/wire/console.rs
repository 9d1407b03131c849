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

/// `GET /console/api/live/robots`: which robots somebody wants to see; all of these have to fit.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobotsQuery {
    /// A piece of the robot's id.
    pub robot: Option<String>,
    /// Its platform.
    pub platform: Option<String>,
    /// `held`, or `waiting`: something waits for it, and it is not held.
    pub state: Option<String>,
}

/// The robots one by one.
#[derive(Serialize)]
pub struct Robots {
    /// At which moment, in milliseconds since 1970.
    pub at: u64,
    /// Those that are held, and the busiest of the others.
    pub robots: Vec<RobotView>,
    /// How many more fit.
    pub more: usize,
    /// How many are busy or held at all.
    pub of: usize,
}
