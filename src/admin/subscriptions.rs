//! The commands on subscriptions, keys and the store.
//!
//! Owns the checks and the answers: the admin API and the command line without a daemon both call
//! it, so both behave alike.
//!
//! Not here: commands on templates (`templates.rs`), HTTP (`routes.rs`), storage (`ports.rs`).

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use crate::{
    admin::{
        blocking::blocking,
        error::ApiError,
        ports::AdminStore,
        wire::{
            AddRequest, AddResponse, BackupRequest, BackupView, BatchRemoved, ExportPage,
            ExportRequest, ImportRequest, ImportResult, KeyView, ListQuery, ProgressView,
            RotateRequest, UpdateRequest, VerifyView,
        },
    },
    crypto::{MasterKey, NOT_SEALED, TransferKey, UnsealError},
    domain::{
        Platform, PrivateOptions, Secret, Subscription, SubscriptionId, SubscriptionPage,
        SubscriptionSpec, SubscriptionState, SubscriptionView, TopicName, check_printable,
    },
    platforms::{self, WebhookHosts},
};

/// The default size of a page.
const PAGE: usize = 100;
/// The largest size of a page.
const PAGE_MAX: usize = 1000;
/// In bytes. SMN limits a remark to this length; roomcast limits a name to it.
const NAME_BYTES_MAX: usize = 128;
/// In bytes. The platforms' own secrets have less than 100 bytes.
const SECRET_BYTES_MAX: usize = 1024;

/// A subscription with its webhook has fewer bytes than this as JSON,
/// unless its filter is very long.
const SEALED_BYTES: usize = 64 * 1024;

/// Performs commands on subscriptions.
#[derive(Clone)]
pub struct SubscriptionService {
    pub(super) store: Arc<dyn AdminStore>,
    hosts: Arc<WebhookHosts>,
}

impl SubscriptionService {
    /// The service of this store. Webhooks may have these hosts besides the platforms' own.
    #[must_use]
    pub fn new(store: Arc<dyn AdminStore>, hosts: WebhookHosts) -> Self {
        Self { store, hosts: Arc::new(hosts) }
    }

    /// Adds a subscription. Adding the same robot to the same topic again
    /// succeeds and changes nothing.
    pub async fn add(&self, request: AddRequest) -> Result<AddResponse, ApiError> {
        let added = self.store.add(vec![checked(request, &self.hosts)?]).await?;
        let none = || ApiError::Internal("an addition had no outcome".to_owned());
        let added = added.first().ok_or_else(none)?;
        Ok(AddResponse { id: added.id, existed: added.duplicate })
    }

    /// Adds subscriptions, each completely or not at all. A refused one does not stop the others.
    pub async fn import(&self, request: ImportRequest) -> Result<Vec<ImportResult>, ApiError> {
        let (mut good, mut refused) = (Vec::new(), Vec::new());
        for one in request.subscriptions {
            let one = one
                .0
                .and_then(|spec| checked(spec, &self.hosts).map_err(|refusal| refusal.to_string()));
            refused.push(one.map(|one| good.push(one)).err());
        }
        let mut added = self.store.add(good).await?.into_iter();
        let outcome = |refused: Option<String>| {
            let added = if refused.is_none() { added.next() } else { None };
            let existed = added.is_some_and(|added| added.duplicate);
            ImportResult { id: added.map(|added| added.id), existed, refused }
        };
        Ok(refused.into_iter().map(outcome).collect())
    }

    /// One page of subscriptions, each sealed under a key file that both machines have.
    pub async fn export(&self, request: &ExportRequest) -> Result<ExportPage, ApiError> {
        let key = TransferKey::derive(&master_key(&request.key)?);
        let ListQuery { filter, after, limit } = &request.query;
        let limit = limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
        let page = self.store.list_decrypted(filter, after.clone(), limit).await?;
        blocking(move || {
            let found = page.subscriptions.into_iter();
            let sealed = found.map(|one| sealed(one, &key)).collect::<Result<_, _>>()?;
            Ok(ExportPage { sealed, next: page.next })
        })
        .await
    }

    /// Removes some of a topic's subscriptions for good. A result of 0 means that none are left.
    pub async fn remove_batch(&self, topic: &TopicName) -> Result<BatchRemoved, ApiError> {
        Ok(BatchRemoved { removed: self.store.remove_batch(topic).await? })
    }

    /// The state of the keys.
    pub async fn key(&self) -> Result<KeyView, ApiError> {
        let status = self.store.key_status().await?;
        let progress = |(done, total)| ProgressView { done, total };
        Ok(KeyView {
            current: status.current.to_string(),
            old: status.old.map(|old| old.to_string()),
            in_place: status.in_place,
            data_keys: status.data_keys,
            wrapping: status.wrapping.map(progress),
            sealing: status.sealing.map(progress),
        })
    }

    /// Accepts a new master key and starts to wrap every data key under it.
    pub async fn rotate(&self, request: &RotateRequest) -> Result<KeyView, ApiError> {
        self.store.begin_rotation(master_key(&request.new_key)?).await?;
        self.store.rotate_in_background();
        self.key().await
    }

    /// Records that the new master key is stored where the daemon looks for it at its start.
    pub async fn replace_key_in_place(&self) -> Result<KeyView, ApiError> {
        self.store.replace_key_in_place().await?;
        self.key().await
    }

    /// Continues a rotation that an earlier process began.
    pub fn resume_rotation(&self) {
        self.store.rotate_in_background();
    }

    /// Starts to seal every subscription again under a new data key.
    pub async fn reseal(&self) -> Result<KeyView, ApiError> {
        self.store.reseal_in_background();
        self.key().await
    }

    /// Writes a backup into a new folder, while the store is in use.
    pub async fn backup(&self, request: &BackupRequest) -> Result<BackupView, ApiError> {
        if !request.dir.is_absolute() {
            return Err(ApiError::Invalid(
                "dir must be an absolute path on the daemon's machine".to_owned(),
            ));
        }
        let manifest = self.store.backup(&request.dir).await?;
        Ok(BackupView {
            subscriptions: manifest.subscriptions,
            templates: manifest.templates,
            key: manifest.key,
        })
    }

    /// Opens every record and counts the broken references.
    pub async fn verify(&self) -> Result<VerifyView, ApiError> {
        let found = self.store.verify().await?;
        Ok(VerifyView {
            ok: found.is_sound(),
            sound: found.sound,
            broken: found.broken.iter().map(ToString::to_string).collect(),
            without_key: found.without_key,
            keys_without_subscription: found.without_subscription,
            lost_entries: found.lost_entries,
            unindexed: found.unindexed,
            templates: found.templates,
            broken_templates: found.broken_templates,
        })
    }

    /// One page of the subscriptions, masked.
    pub async fn list(&self, query: &ListQuery) -> Result<SubscriptionPage, ApiError> {
        let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
        Ok(self.store.list(&query.filter, query.after.clone(), limit).await?)
    }

    /// One subscription, masked.
    pub async fn show(&self, id: SubscriptionId) -> Result<SubscriptionView, ApiError> {
        Ok(self.store.show(id).await?)
    }

    /// Changes the named fields and keeps the others. On return, the key of
    /// the old version is destroyed.
    pub async fn update(
        &self,
        id: SubscriptionId,
        request: UpdateRequest,
    ) -> Result<SubscriptionView, ApiError> {
        let platform = self.store.platform_of(id).await?;
        check_texts(&PrivateOptions::default().patched(request.private.clone()))?;
        check_secret(platform, request.secret.as_ref().and_then(Option::as_ref))?;
        let endpoint = request
            .endpoint
            .as_ref()
            .map(|url| platforms::check_endpoint(platform, url.expose(), &self.hosts))
            .transpose()
            .map_err(invalid)?;
        self.store.update(id, request.with_endpoint(endpoint)).await?;
        self.show(id).await
    }

    /// Removes a subscription for good. On return, no key exists that opens its endpoint.
    pub async fn remove(&self, id: SubscriptionId) -> Result<(), ApiError> {
        Ok(self.store.remove(id).await?)
    }

    /// Activates or pauses a subscription.
    pub async fn set_state(
        &self,
        id: SubscriptionId,
        state: SubscriptionState,
    ) -> Result<(), ApiError> {
        Ok(self.store.set_state(id, state).await?)
    }
}

/// Checks an addition without the store: whether it would be refused for its own values.
pub fn check(request: AddRequest, hosts: &WebhookHosts) -> Result<(), ApiError> {
    checked(request, hosts).map(|_| ())
}

/// Checks that webhook and signing secret are not too long for any robot.
///
/// The command line calls it before it sends them to a daemon, which refuses large requests. So the
/// error is the same with and without a daemon.
pub fn check_lengths(endpoint: Option<&Secret>, secret: Option<&Secret>) -> Result<(), ApiError> {
    if let Some(endpoint) = endpoint {
        platforms::check_endpoint_length(endpoint.expose()).map_err(invalid)?;
    }
    match secret.map(|secret| secret.expose().len()) {
        Some(bytes) if bytes > SECRET_BYTES_MAX => Err(ApiError::Invalid(format!(
            "the signing secret has {bytes} bytes, \
             and no robot's has more than {SECRET_BYTES_MAX}: copy it from the robot's settings"
        ))),
        _ => Ok(()),
    }
}

/// A checked addition, with the endpoint normalised.
fn checked(request: AddRequest, hosts: &WebhookHosts) -> Result<SubscriptionSpec, ApiError> {
    let endpoint = request.endpoint.expose();
    let endpoint = platforms::check_endpoint(request.platform, endpoint, hosts).map_err(invalid)?;
    check_texts(&request.private)?;
    check_secret(request.platform, request.secret.as_ref())?;
    if platforms::is_flow(request.platform, endpoint.expose())
        && request.secret.as_ref().is_some_and(|secret| !secret.expose().is_empty())
    {
        return Err(ApiError::Invalid("a flow has no signing secret: leave it out".to_owned()));
    }
    let mut spec = request.with_endpoint(endpoint);
    spec.secret = spec.secret.filter(|secret| !secret.expose().is_empty());
    Ok(spec)
}

/// A subscription in the form that an import reads, sealed.
fn sealed(one: Subscription, key: &TransferKey) -> Result<String, ApiError> {
    let request = AddRequest {
        topic: one.topic,
        platform: one.platform,
        endpoint: Secret::new(one.endpoint.expose().to_owned()),
        secret: one.secret,
        private: one.private,
        options: one.options,
        state: one.state,
    };
    let failed = |_| ApiError::Internal(NOT_SEALED.to_owned());
    // The buffer has its full size at once, because a growing buffer would leave copies of
    // credentials behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(SEALED_BYTES));
    serde_json::to_writer(&mut *plain, &request).map_err(|_| failed(UnsealError))?;
    key.seal(&plain).map(|bytes| BASE64_STANDARD.encode(bytes)).map_err(failed)
}

fn master_key(text: &Secret) -> Result<MasterKey, ApiError> {
    MasterKey::from_hex(text.expose()).ok_or_else(|| {
        ApiError::Invalid("the key is none: it must have 64 hexadecimal digits".to_owned())
    })
}

/// Checks texts that users write and others read. Older stores may hold texts that break this rule;
/// they are cleaned where they are shown.
fn check_texts(private: &PrivateOptions) -> Result<(), ApiError> {
    let PrivateOptions { keyword, name, mentions } = private;
    let texts = name.iter().map(|name| ("name", name));
    let texts = texts.chain(keyword.iter().map(|keyword| ("keyword", keyword)));
    let mentioned = mentions.mobiles.iter().chain(&mentions.users);
    for (what, text) in texts.chain(mentioned.map(|one| ("name of a mentioned member", one))) {
        check_printable(what, text).map_err(invalid)?;
    }
    if name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
        return Err(ApiError::Invalid(format!("the name is longer than {NAME_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn check_secret(platform: Platform, secret: Option<&Secret>) -> Result<(), ApiError> {
    check_lengths(None, secret)?;
    if !platforms::takes_secret(platform)
        && secret.is_some_and(|secret| !secret.expose().is_empty())
    {
        return Err(ApiError::Invalid(format!(
            "{platform} robots have no signing secret: leave it out"
        )));
    }
    Ok(())
}

pub(super) fn invalid(mistake: impl std::fmt::Display) -> ApiError {
    ApiError::Invalid(mistake.to_string())
}
