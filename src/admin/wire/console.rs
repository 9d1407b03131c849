//! The shapes that only the console uses.
//!
//! Owns their names and forms.
//!
//! Not here: shapes that the API has as well (the other files of `wire/`).

use serde::{Deserialize, Serialize};

use super::RobotView;
use crate::domain::{Secret, required_credential};

/// `POST /console/api/session`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The admin token.
    #[serde(with = "required_credential")]
    pub token: Secret,
}

/// What the page knows of its session. The session's id is in a cookie that scripts cannot read.
#[derive(Serialize)]
pub struct SessionView {
    /// The page shows it with every request that changes something, so
    /// that no other page can make one.
    pub csrf: String,
    /// The version of roomcast.
    pub version: &'static str,
}

/// `GET /console/api/live/robots`: a filter. A robot must match all named fields.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobotsQuery {
    /// A part of the robot's id.
    pub robot: Option<String>,
    /// The robot's platform.
    pub platform: Option<String>,
    /// `held`, or `waiting`: it has waiting deliveries and is not held.
    pub state: Option<String>,
}

/// The robots of one snapshot.
#[derive(Serialize)]
pub struct RobotsPage {
    /// The time of the snapshot, in milliseconds since 1970.
    pub at: u64,
    /// The busiest robots, and the held ones.
    pub robots: Vec<RobotView>,
    /// How many more match.
    pub more: usize,
    /// How many are busy or held in total.
    pub of: usize,
}
