//! Members by their user ids on single platforms. An id of one platform means nothing on another.
//!
//! Owns which ids belong to a platform that is a variant of another.
//!
//! Not here: members that are named for all platforms ([`Mentions`](super::Mentions)).

use super::Platform;

/// User ids on single platforms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformUsers(Vec<(Platform, Vec<String>)>);

impl PlatformUsers {
    /// Adds user ids of a platform.
    pub fn add(&mut self, platform: Platform, users: Vec<String>) {
        match self.0.iter_mut().find(|(known, _)| *known == platform) {
            Some((_, all)) => all.extend(users),
            None => self.0.push((platform, users)),
        }
    }

    /// Adds the user ids of others for the platforms that `accepts` selects.
    pub fn add_all(&mut self, others: Self, accepts: impl Fn(Platform) -> bool) {
        for (platform, users) in others.0.into_iter().filter(|(platform, _)| accepts(*platform)) {
            self.add(platform, users);
        }
    }

    /// The user ids on a platform. A variant without ids of its own has those of its base, as with
    /// the entries of a structure.
    #[must_use]
    pub fn on(&self, platform: Platform) -> &[String] {
        let find = |wanted| self.0.iter().find(|(known, _)| *known == wanted);
        let found = find(platform).or_else(|| platform.variant_of().and_then(find));
        found.map_or(&[], |(_, users)| users.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_has_its_own_ids_and_a_variant_without_any_has_those_of_its_base() {
        let mut users = PlatformUsers::default();
        users.add(Platform::Lark, vec!["ou_1".into()]);
        users.add(Platform::DingTalk, vec!["d1".into()]);
        users.add(Platform::DingTalk, vec!["d2".into()]);
        assert_eq!(users.on(Platform::Lark), ["ou_1"]);
        assert_eq!(users.on(Platform::DingTalkInternal), ["d1", "d2"]);
        assert!(users.on(Platform::WeCom).is_empty());
        users.add(Platform::DingTalkInternal, Vec::new());
        assert!(users.on(Platform::DingTalkInternal).is_empty());
    }
}
