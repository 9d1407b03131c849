//! A cache of recipient pages, so that a busy topic is not read from the disk for every event, and
//! the feed of changes for caches elsewhere.
//!
//! Owns the rule that a page read before a change is never served after it. Pages stay sealed, as
//! on the disk.
//!
//! Not here: reading a page from the database (`subscriptions.rs`), opening a record (`pipeline/`).

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use crate::{
    domain::{SubscriptionId, TopicName},
    fanout::{FeedPage, FeedPosition, RecipientPage},
};

/// The upper bound of cached recipients. An empty page counts as one; a recipient takes less than 1
/// KiB.
const KEPT_MAX: usize = 16_384;

/// The number of changes that the feed keeps. A reader that lags further behind drops all it has.
const CHANGES_MAX: usize = 4096;

type PageKey = (TopicName, Option<SubscriptionId>);

/// Keeps pages of a topic until the topic changes.
#[derive(Default)]
pub(super) struct PageCache(Mutex<CachedPages>);

struct CachedPages {
    /// The number of this feed of changes, which begins with the opening of the store.
    feed: u64,
    /// Counts the invalidations: the number of the last change.
    version: u64,
    /// The topics of the last changes, the newest last.
    changes: VecDeque<TopicName>,
    pages: HashMap<TopicName, HashMap<Option<SubscriptionId>, RecipientPage>>,
    weight: usize,
}

impl Default for CachedPages {
    fn default() -> Self {
        Self {
            feed: rand::random(),
            version: 0,
            changes: VecDeque::new(),
            pages: HashMap::new(),
            weight: 0,
        }
    }
}

impl PageCache {
    /// Up to `limit` changes behind a position of the feed.
    pub(super) fn changes(&self, since: Option<FeedPosition>, limit: usize) -> FeedPage {
        let kept = self.kept();
        let end = FeedPosition { feed: kept.feed, number: kept.version };
        let Some(since) = since else {
            return FeedPage { topics: Some(Vec::new()), position: end };
        };
        let oldest = kept.version - kept.changes.len() as u64;
        if since.feed != kept.feed || !(oldest..=kept.version).contains(&since.number) {
            return FeedPage { topics: None, position: end };
        }
        let known = usize::try_from(since.number - oldest).unwrap_or(usize::MAX);
        let topics: Vec<_> = kept.changes.iter().skip(known).take(limit).cloned().collect();
        let position = FeedPosition { number: since.number + topics.len() as u64, ..since };
        FeedPage { topics: Some(topics), position }
    }

    /// A cached page, or the version under which a page read from now on may be cached.
    pub(super) fn get(&self, place: &PageKey) -> Result<RecipientPage, u64> {
        let kept = self.kept();
        kept.pages.get(&place.0).and_then(|pages| pages.get(&place.1)).cloned().ok_or(kept.version)
    }

    /// Caches a page, unless something was invalidated since `version`.
    pub(super) fn keep(&self, place: PageKey, page: &RecipientPage, version: u64) {
        let mut kept = self.kept();
        if kept.version != version {
            return;
        }
        let weight = page.recipients.len().max(1);
        if kept.weight + weight > KEPT_MAX {
            kept.pages.clear();
            kept.weight = 0;
        }
        if kept.pages.entry(place.0).or_default().insert(place.1, page.clone()).is_none() {
            kept.weight += weight;
        }
    }

    /// Removes the pages of a topic, and rejects pages that are being read at this moment. Called
    /// after the change is on the disk.
    pub(super) fn forget(&self, topic: &TopicName) {
        let mut kept = self.kept();
        kept.version += 1;
        kept.changes.push_back(topic.clone());
        if kept.changes.len() > CHANGES_MAX {
            kept.changes.pop_front();
        }
        let gone = kept.pages.remove(topic).unwrap_or_default();
        kept.weight -= gone.values().map(|page| page.recipients.len().max(1)).sum::<usize>();
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, CachedPages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> RecipientPage {
        RecipientPage { recipients: Vec::new(), has_paused: false, next: None }
    }

    #[test]
    fn a_page_read_before_a_change_is_not_kept_after_it() {
        let (cache, place) = (PageCache::default(), ("t".parse().unwrap(), None));
        let Err(version) = cache.get(&place) else { panic!("kept") };
        cache.forget(&place.0);
        cache.keep(place.clone(), &page(), version);
        let Err(version) = cache.get(&place) else { panic!("kept") };
        cache.keep(place.clone(), &page(), version);
        cache.forget(&"other".parse().unwrap());
        assert!(cache.get(&place).is_ok());
        cache.forget(&place.0);
        assert!(cache.get(&place).is_err());
    }

    #[test]
    fn the_cache_is_bounded() {
        let cache = PageCache::default();
        for number in 0..KEPT_MAX + 10 {
            cache.keep((format!("t{number}").parse().unwrap(), None), &page(), 0);
        }
        assert!(cache.kept().pages.len() <= KEPT_MAX);
    }
}
