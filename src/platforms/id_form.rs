//! The forms of members' ids, as far as they tell the platforms apart.
//!
//! Owns the prefix that only one platform's ids have. A message is refused for a foreign id.
//!
//! Not here: which platform takes which id (the platforms' profiles).

/// The beginning of an `open_id`. No other kind of id begins so.
pub(super) const OPEN_ID_PREFIX: &str = "ou_";
