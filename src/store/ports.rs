//! The store as the ports that operators use.
//!
//! Owns that no caller of a port waits for the disk on an async thread.
//!
//! Not here: the ports of the delivery path (`subscriptions.rs`, `ledger.rs`, `journal.rs`), and
//! the work itself (`write.rs`, `listing.rs`, `templates.rs`, `rotate.rs`, `backup.rs`,
//! `verify.rs`).

use std::path::Path;

use async_trait::async_trait;

use super::{BackupError, Store, StoreError};
use crate::{
    admin::ports::{
        BackupSummary, DecryptedPage, KeyStatus, KeyStore, StoreFailure, StoreMaintenance,
        StoreRefusal, SubscriptionStore, TemplateStore, Verified,
    },
    crypto::MasterKey,
    domain::{
        AddedSubscription, Audience, ListCursor, ListFilter, Platform, SubscriptionId,
        SubscriptionPage, SubscriptionPatch, SubscriptionSpec, SubscriptionState, SubscriptionView,
        Template, TemplateName, TopicName, TopicSubscriptions,
    },
    fanout::TemplateRegistry,
};

impl Store {
    /// Runs work on a thread that may wait for the disk. It goes on if the caller stops waiting.
    async fn blocking<T: Send + 'static, E: Into<StoreFailure> + Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, StoreFailure> {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(done) => done.map_err(Into::into),
            Err(panicked) => Err(StoreFailure::Failed(panicked.into())),
        }
    }
}

impl From<StoreError> for StoreFailure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(refusal) => Self::Refused(refusal),
            error if error.is_refused_by_disk() => Self::Unavailable(error.into()),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<BackupError> for StoreFailure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(error) => error.into(),
            // The operator named an unusable folder; the operating system's message says why.
            BackupError::File { ref source, .. } => {
                StoreRefusal::Backup(format!("{error}: {source}")).into()
            }
            BackupError::Exists(_) | BackupError::NoBackup { .. } | BackupError::Rotating => {
                StoreRefusal::Backup(error.to_string()).into()
            }
        }
    }
}

#[async_trait]
impl SubscriptionStore for Store {
    async fn add(
        &self,
        new: Vec<SubscriptionSpec>,
    ) -> Result<Vec<AddedSubscription>, StoreFailure> {
        self.blocking(move |store| store.add_all(new)).await
    }

    async fn update(
        &self,
        id: SubscriptionId,
        change: SubscriptionPatch,
    ) -> Result<(), StoreFailure> {
        self.blocking(move |store| store.update(id, change)).await
    }

    async fn set_state(
        &self,
        id: SubscriptionId,
        state: SubscriptionState,
    ) -> Result<(), StoreFailure> {
        self.blocking(move |store| store.set_state(id, state)).await
    }

    async fn remove(&self, id: SubscriptionId) -> Result<(), StoreFailure> {
        self.blocking(move |store| store.remove(id)).await
    }

    async fn remove_batch(&self, topic: &TopicName) -> Result<usize, StoreFailure> {
        let topic = topic.clone();
        self.blocking(move |store| store.remove_batch(&topic)).await
    }

    async fn platform_of(&self, id: SubscriptionId) -> Result<Platform, StoreFailure> {
        self.blocking(move |store| store.platform_of(id)).await
    }

    async fn show(&self, id: SubscriptionId) -> Result<SubscriptionView, StoreFailure> {
        self.blocking(move |store| store.show(id)).await
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<ListCursor>,
        limit: usize,
    ) -> Result<SubscriptionPage, StoreFailure> {
        let filter = filter.clone();
        self.blocking(move |store| store.list(&filter, after, limit)).await
    }

    async fn topics(
        &self,
        after: Option<TopicName>,
        limit: usize,
    ) -> Result<Vec<TopicSubscriptions>, StoreFailure> {
        self.blocking(move |store| store.topics(after.as_ref(), limit)).await
    }

    async fn list_decrypted(
        &self,
        filter: &ListFilter,
        after: Option<ListCursor>,
        limit: usize,
    ) -> Result<DecryptedPage, StoreFailure> {
        let filter = filter.clone();
        self.blocking(move |store| store.list_decrypted(&filter, after, limit)).await
    }
}

#[async_trait]
impl TemplateStore for Store {
    fn templates(&self) -> TemplateRegistry {
        self.templates()
    }

    async fn add_template(&self, template: Template, replace: bool) -> Result<bool, StoreFailure> {
        self.blocking(move |store| store.add_template(template, replace)).await
    }

    async fn remove_template(
        &self,
        name: &TemplateName,
        audience: Option<Audience>,
    ) -> Result<usize, StoreFailure> {
        let name = name.clone();
        self.blocking(move |store| store.remove_template(&name, audience)).await
    }
}

#[async_trait]
impl KeyStore for Store {
    async fn key_status(&self) -> Result<KeyStatus, StoreFailure> {
        Ok(self.key_status())
    }

    async fn begin_rotation(&self, new: MasterKey) -> Result<(), StoreFailure> {
        self.blocking(move |store| store.begin_rotation(&new)).await
    }

    async fn replace_key_in_place(&self) -> Result<(), StoreFailure> {
        self.blocking(Self::replace_key_in_place).await
    }

    fn rotate_in_background(&self) {
        self.rotate_in_background();
    }

    fn reseal_in_background(&self) {
        self.reseal_in_background();
    }
}

#[async_trait]
impl StoreMaintenance for Store {
    async fn backup(&self, to: &Path) -> Result<BackupSummary, StoreFailure> {
        let to = to.to_owned();
        let made = self.blocking(move |store| store.backup(&to)).await?;
        Ok(BackupSummary {
            subscriptions: made.subscriptions,
            templates: made.templates,
            key: made.key,
        })
    }

    async fn verify(&self) -> Result<Verified, StoreFailure> {
        self.blocking(Self::verify).await
    }
}
