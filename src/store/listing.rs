//! Subscriptions as people may see them: one, or a page at a time, masked.

use super::{
    Page, StoreError, Summary,
    mask::mask,
    row::Row,
    shapes::ListFilter,
    subscriptions::{Open, Store},
};
use crate::domain::SubscriptionId;

impl Store {
    /// One subscription, masked. Blocks on the disk.
    pub fn show(&self, id: SubscriptionId) -> Result<Summary, StoreError> {
        let row = self.0.db.get(id)?.ok_or(StoreError::NoSuchSubscription { id })?;
        self.0.summary(row)?.ok_or(StoreError::NoSuchSubscription { id })
    }

    /// One page of subscriptions, masked. Blocks on the disk.
    pub fn list(&self, filter: &ListFilter, after: Option<SubscriptionId>, limit: usize) -> Result<Page, StoreError> {
        let (open, mut after, mut summaries) = (&self.0, after, Vec::new());
        loop {
            let rows = match &filter.topic {
                Some(topic) => open.db.of_topic(topic, after, limit)?,
                None => open.db.all(after, limit)?,
            };
            let last = rows.len() < limit;
            for row in rows {
                after = Some(row.id);
                if filter.platform.is_none_or(|platform| platform == row.platform)
                    && let Some(summary) = open.summary(row)?
                {
                    summaries.push(summary);
                    if summaries.len() == limit {
                        return Ok(Page { summaries, next: after });
                    }
                }
            }
            if last {
                return Ok(Page { summaries, next: None });
            }
        }
    }
}

impl Open {
    /// A row as people may see it; nothing if its key is gone.
    fn summary(&self, row: Row) -> Result<Option<Summary>, StoreError> {
        Ok(self.unseal(&row)?.map(|record| Summary {
            id: row.id,
            topic: row.topic,
            platform: row.platform,
            robot: row.robot,
            masked_endpoint: mask(&record.endpoint),
            has_secret: record.secret.is_some(),
            keyword: record.keyword,
            name: record.name,
            mentions: record.mentions,
            state: row.state,
            options: row.options,
            created_at: row.created_at,
        }))
    }
}
