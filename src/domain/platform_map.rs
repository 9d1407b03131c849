//! One value for each platform.
//!
//! Owns that no platform can be missing, and that a value is found by its platform, not by its
//! position.
//!
//! Not here: the list of platforms (`platform.rs`).

use super::Platform;

/// One value for each platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlatformMap<T>([T; Platform::COUNT]);

impl<T> PlatformMap<T> {
    /// The map of the values that `value` returns.
    pub fn from_fn(value: impl FnMut(Platform) -> T) -> Self {
        Self(Platform::ALL.map(value))
    }

    /// The value of a platform.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a platform's index is less than their number")]
    pub const fn get(&self, platform: Platform) -> &T {
        &self.0[platform.index()]
    }

    /// The value of a platform, to be changed.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a platform's index is less than their number")]
    pub const fn get_mut(&mut self, platform: Platform) -> &mut T {
        &mut self.0[platform.index()]
    }

    /// All platforms with their values, in the order of [`Platform::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Platform, &T)> {
        Platform::ALL.into_iter().zip(&self.0)
    }

    /// All platforms with their values, to be changed, in the order of [`Platform::ALL`].
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Platform, &mut T)> {
        Platform::ALL.into_iter().zip(&mut self.0)
    }

    /// All values, in the order of [`Platform::ALL`].
    pub fn values(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// All values, to be changed, in the order of [`Platform::ALL`].
    pub fn values_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.0.iter_mut()
    }

    /// The map of what `change` makes of each value.
    pub fn map<'a, U>(&'a self, mut change: impl FnMut(Platform, &'a T) -> U) -> PlatformMap<U> {
        PlatformMap::from_fn(|platform| change(platform, self.get(platform)))
    }
}

impl<T> PlatformMap<Option<T>> {
    /// The map of all values, if no platform is without one.
    #[must_use]
    pub fn complete(self) -> Option<PlatformMap<T>> {
        let values: Option<Vec<T>> = self.0.into_iter().collect();
        values?.try_into().ok().map(PlatformMap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_platform_has_the_value_that_was_made_for_it() {
        let mut names = PlatformMap::from_fn(|platform| platform.to_string());
        assert!(names.iter().all(|(platform, name)| platform.as_str() == name));
        for platform in Platform::ALL {
            assert_eq!(names.get(platform), platform.as_str());
            names.get_mut(platform).push('!');
        }
        names.iter_mut().for_each(|(platform, name)| name.push_str(platform.as_str()));
        let lengths = names.map(|platform, name| name.len() - platform.as_str().len());
        for (platform, length) in lengths.iter() {
            assert_eq!(*length, platform.as_str().len() + 1);
        }
        assert_eq!(names.values().count(), Platform::ALL.len());
    }
}
