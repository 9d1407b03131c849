//! The cache of rendered messages: an event is rendered once for all robots that get the same
//! message.
//!
//! Owns two limits: a long text is never rendered on an async thread, and the cache stays small.
//!
//! Not here: the rendering (`platforms/`), and the signature, which differs for each robot
//! (`mod.rs`).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OnceCell;

use crate::{
    domain::{Event, FeatureSet, Platform, PlatformContent},
    platforms::{self, Unsendable, UnsignedBody, Variant},
};

/// A shorter text is rendered faster than it is found in the cache.
const KEPT_BYTES_MIN: usize = 1024;
/// A longer text is rendered on a blocking thread, because that takes milliseconds.
const INLINE_BYTES_MAX: usize = 16 * 1024;
/// The most messages in the cache. Each of them is at most as large as its platform allows.
const KEPT_MAX: usize = 64;

type Rendering = Result<UnsignedBody, Unsendable>;

/// The messages rendered last.
#[derive(Default)]
pub(super) struct RenderCache {
    kept: Mutex<VecDeque<CachedRendering>>,
}

struct CachedRendering {
    event: Weak<Event>,
    variant: Variant,
    rendering: Arc<OnceCell<Rendering>>,
}

impl RenderCache {
    /// The message of an event in this variant. Concurrent calls wait for one rendering.
    pub(super) async fn get(&self, event: &Arc<Event>, variant: Variant) -> Rendering {
        let bytes = size(event, variant.target.platform);
        if bytes < KEPT_BYTES_MIN {
            return platforms::write(&event.content, &variant);
        }
        let rendering = self.cell(event, &variant);
        rendering
            .get_or_init(|| write(Arc::clone(event), variant, bytes > INLINE_BYTES_MAX))
            .await
            .clone()
    }

    fn cell(&self, event: &Arc<Event>, variant: &Variant) -> Arc<OnceCell<Rendering>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // The weak reference keeps the address reserved, so no other event can have the same one.
        let same = |one: &&CachedRendering| {
            std::ptr::eq(one.event.as_ptr(), Arc::as_ptr(event)) && one.variant == *variant
        };
        if let Some(known) = kept.iter().rev().find(same) {
            return Arc::clone(&known.rendering);
        }
        kept.retain(|one| one.event.strong_count() > 0);
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        let rendering = Arc::<OnceCell<Rendering>>::default();
        let event = Arc::downgrade(event);
        kept.push_back(CachedRendering {
            event,
            variant: variant.clone(),
            rendering: Arc::clone(&rendering),
        });
        rendering
    }
}

/// The features of a message for which its platform may have refused it. They are not kept, because
/// refusals are rare.
pub(super) async fn features(event: &Arc<Event>, variant: Variant) -> FeatureSet {
    if size(event, variant.target.platform) <= INLINE_BYTES_MAX {
        return platforms::features(&event.content, &variant);
    }
    let event = Arc::clone(event);
    match tokio::task::spawn_blocking(move || platforms::features(&event.content, &variant)).await {
        Ok(features) => features,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

async fn write(event: Arc<Event>, variant: Variant, long: bool) -> Rendering {
    let write = move || platforms::write(&event.content, &variant);
    if !long {
        return write();
    }
    match tokio::task::spawn_blocking(write).await {
        Ok(rendering) => rendering,
        // A panic counts as a failed attempt of the delivery.
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// The number of bytes to read for the message.
fn size(event: &Event, platform: Platform) -> usize {
    match event.content.for_platform(platform) {
        Ok(PlatformContent::Native(json)) => json.len(),
        Ok(PlatformContent::Text(passage)) => passage.text.len(),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EventContent, EventId, Format, Part, PublishedMessage, Timestamp};
    use crate::platforms::RenderTarget;

    fn event(text: &str) -> Arc<Event> {
        let content = EventContent {
            message: Some(text.into()),
            format: Format::Markdown,
            ..EventContent::default()
        };
        Arc::new(Event {
            id: EventId::new("e"),
            topic: "ops".parse().unwrap(),
            content,
            urgent: false,
            received_at: Timestamp::default(),
            expires_at: Timestamp::default(),
            published: PublishedMessage::default(),
        })
    }

    fn variant(keyword: Option<&str>) -> Variant {
        let keyword = keyword.map(str::to_owned);
        Variant {
            target: RenderTarget { keyword, ..RenderTarget::plain(Platform::Lark) },
            part: Part::default(),
            omitted: FeatureSet::default(),
            plain_part: Part::default(),
        }
    }

    #[tokio::test]
    async fn a_message_is_rendered_once_for_equal_targets_and_again_for_others() {
        let (rendered, one, other) =
            (RenderCache::default(), event(&"a ".repeat(2_000)), event(&"b ".repeat(2_000)));
        for _ in 0..3 {
            for event in [&one, &other] {
                for keyword in [None, Some("ops")] {
                    let written = rendered.get(event, variant(keyword)).await.unwrap();
                    let fresh = platforms::write(&event.content, &variant(keyword)).unwrap();
                    assert_eq!(format!("{written:?}"), format!("{fresh:?}"));
                }
            }
        }
        let cell = rendered.cell(&one, &variant(None));
        assert!(cell.initialized(), "the second asked for what the first had written");
        assert_eq!(rendered.kept.lock().unwrap().len(), 4);
        drop(one);
        let _ = rendered.get(&event(&"c ".repeat(2_000)), variant(None)).await;
        assert_eq!(
            rendered.kept.lock().unwrap().len(),
            3,
            "nothing is kept of an event that is gone"
        );
    }

    #[tokio::test]
    async fn little_is_kept_however_many_events_there_are() {
        let rendered = RenderCache::default();
        let events: Vec<_> =
            (0..KEPT_MAX * 2).map(|number| event(&format!("{number} ").repeat(1_000))).collect();
        for event in &events {
            let _ = rendered.get(event, variant(None)).await;
        }
        assert_eq!(rendered.kept.lock().unwrap().len(), KEPT_MAX);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_long_text_is_written_beside_the_async_threads() {
        let event = event(&"| a | b |\n|---|---|\n".repeat(4_000));
        let rendered = Arc::new(RenderCache::default());
        let writing = tokio::spawn({
            let (rendered, event) = (Arc::clone(&rendered), Arc::clone(&event));
            async move { rendered.get(&event, variant(None)).await }
        });
        // On this single thread, the task must yield before the text is rendered.
        tokio::task::yield_now().await;
        let cell = rendered.cell(&event, &variant(None));
        assert!(Arc::strong_count(&cell) > 2 && !writing.is_finished(), "it is being written");
        assert!(writing.await.unwrap().is_ok() && cell.initialized());
    }
}
