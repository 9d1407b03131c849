//! Subscriptions for operators: one, or a page, with masked webhooks.
//!
//! Owns which fields of a subscription a listing shows.
//!
//! Not here: how a webhook is masked (`redact.rs`), how fan-out reads recipients
//! (`subscriptions.rs`).

use super::{
    ListCursor, ListFilter, StoreError, StoreRefusal, SubscriptionPage,
    redact::redact,
    row::{DamagedRow, SubscriptionRow},
    subscriptions::{Store, StoreInner, opened},
};
use crate::{
    admin::ports::DecryptedPage,
    domain::{PrivateOptions, SubscriptionId, SubscriptionView},
};

/// The number of rows that are read at a time and then filtered.
const READ: usize = 512;

/// The text in place of the masked webhook if the record is damaged.
const DAMAGED: &str = "the record is damaged";

impl Store {
    /// One subscription, masked. Blocks on the disk.
    pub fn show(&self, id: SubscriptionId) -> Result<SubscriptionView, StoreError> {
        let row = self
            .0
            .db
            .get(id)?
            .ok_or(StoreError::Refused(StoreRefusal::NoSuchSubscription { id }))?;
        self.0.view(row)?.ok_or(StoreError::Refused(StoreRefusal::NoSuchSubscription { id }))
    }

    /// One page of subscriptions, masked. Blocks on the disk.
    pub fn list(
        &self,
        filter: &ListFilter,
        after: Option<ListCursor>,
        limit: usize,
    ) -> Result<SubscriptionPage, StoreError> {
        let (open, mut after, mut subscriptions) = (&self.0, after, Vec::new());
        loop {
            let rows = open.rows(filter, after.as_ref(), READ)?;
            let last = rows.len() < READ;
            for row in rows {
                after = Some(ListCursor::of(&row));
                if !filter.matches_filter(&row) {
                    continue;
                }
                // A damaged record must not hide the other subscriptions.
                let view = match open.view(row.clone()) {
                    Err(StoreError::Refused(StoreRefusal::DamagedRecord { .. })) => {
                        Some(unreadable(row))
                    }
                    view => view?,
                };
                if let Some(view) =
                    view.filter(|one| filter.matches_name(one.private.name.as_deref()))
                {
                    subscriptions.push(view);
                    if subscriptions.len() == limit {
                        return Ok(SubscriptionPage { subscriptions, next: after });
                    }
                }
            }
            if last {
                return Ok(SubscriptionPage { subscriptions, next: None });
            }
        }
    }

    /// One page of subscriptions with their credentials, for an export that the caller seals.
    /// Blocks on the disk.
    pub fn list_decrypted(
        &self,
        filter: &ListFilter,
        after: Option<ListCursor>,
        limit: usize,
    ) -> Result<DecryptedPage, StoreError> {
        let rows = self.0.rows(filter, after.as_ref(), limit)?;
        let next = (rows.len() == limit).then(|| rows.last().map(ListCursor::of)).flatten();
        let mut found = Vec::new();
        for row in rows.into_iter().filter(|row| filter.matches_filter(row)) {
            if let Some(record) =
                self.0.unseal(&row)?.filter(|one| filter.matches_name(one.private.name.as_deref()))
            {
                found.push(opened(&row, record));
            }
        }
        Ok(DecryptedPage { subscriptions: found, next })
    }

    /// The number of subscriptions of a topic, counted up to `limit`. Blocks on the disk.
    pub fn count(
        &self,
        topic: &crate::domain::TopicName,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.0.db.of_topic(topic, None, limit).map(|rows| rows.len())
    }
}

/// The view of a row whose record does not open.
fn unreadable(row: SubscriptionRow) -> SubscriptionView {
    view_of(row, DAMAGED.to_owned(), false, PrivateOptions::default())
}

fn view_of(
    row: SubscriptionRow,
    masked_endpoint: String,
    signed: bool,
    private: PrivateOptions,
) -> SubscriptionView {
    let SubscriptionRow { id, topic, platform, robot, state, options, created_at, .. } = row;
    SubscriptionView {
        id,
        topic,
        platform,
        robot,
        masked_endpoint,
        signed,
        private,
        state,
        options,
        created_at,
    }
}

impl ListCursor {
    pub(super) fn of(row: &SubscriptionRow) -> Self {
        Self { topic: row.topic.clone(), id: row.id }
    }

    /// The place of a row, readable or not.
    pub(super) fn of_each(row: &Result<SubscriptionRow, DamagedRow>) -> Self {
        match row {
            Ok(row) => Self::of(row),
            Err(damaged) => Self { topic: damaged.topic.clone(), id: damaged.id },
        }
    }
}

impl ListFilter {
    fn matches_filter(&self, row: &SubscriptionRow) -> bool {
        self.platform.is_none_or(|platform| platform == row.platform)
            && self.robot.is_none_or(|robot| robot == row.robot)
            && self.state.is_none_or(|state| state == row.state)
            && self.group.as_ref().is_none_or(|group| row.options.group.as_ref() == Some(group))
    }

    fn matches_name(&self, name: Option<&str>) -> bool {
        self.name.as_ref().is_none_or(|part| name.is_some_and(|name| name.contains(part.as_str())))
    }
}

impl StoreInner {
    /// Up to `limit` rows of the filter's topic, or of all topics.
    pub(super) fn rows(
        &self,
        filter: &ListFilter,
        after: Option<&ListCursor>,
        limit: usize,
    ) -> Result<Vec<SubscriptionRow>, StoreError> {
        match (&filter.topic, after) {
            (Some(topic), Some(place)) if place.topic > *topic => Ok(Vec::new()),
            (Some(topic), Some(place)) if place.topic == *topic => {
                self.db.of_topic(topic, Some(place.id), limit)
            }
            (Some(topic), _) => self.db.of_topic(topic, None, limit),
            (None, after) => self.db.all(after, limit),
        }
    }

    /// The view of a row, or `None` if its key is erased.
    fn view(&self, row: SubscriptionRow) -> Result<Option<SubscriptionView>, StoreError> {
        Ok(self.unseal(&row)?.map(|record| {
            let (masked, signed) = (redact(&record.endpoint), record.secret.is_some());
            view_of(row, masked, signed, record.private)
        }))
    }
}
