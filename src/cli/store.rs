//! `roomcast store …`: backups, checks, and the proof that a subscription is erased.
//!
//! Owns the words of the proof, and the confirmation before a restore.
//!
//! Not here: the search through the files, and the backup itself (`store`).

use std::path::Path;

use hyper::Method;

use super::{
    args,
    backend::{self, Backend},
    client::Client,
    exit::Failure,
    local_store,
    output::{confirm, print, print_json},
};
use crate::{
    admin::wire::{BackupRequest, BackupView, VerifyView},
    clock::Clock,
    config::Config,
    domain::SubscriptionId,
    store::{self, BackupError, Proof, RecordState, Residue},
    telemetry::with_causes,
};

pub(super) async fn run(config: &Config, command: args::Store) -> Result<(), Failure> {
    match command {
        args::Store::ProveErased { id } => prove_erased(config, &id),
        args::Store::Backup { dir } => backup(config, &dir).await,
        args::Store::Restore { dir, removed, yes } => restore(config, &dir, &removed, yes).await,
        args::Store::Verify { json } => verify(config, json).await,
    }
}

fn prove_erased(config: &Config, id: &str) -> Result<(), Failure> {
    let id: SubscriptionId = id
        .parse()
        .map_err(|error: crate::domain::InvalidSubscriptionId| Failure::Usage(error.to_string()))?;
    let dir = &config.store.dir;
    let traces = store::traces(dir, id).map_err(|error| {
        Failure::Unavailable(format!(
            "the files of the store {} cannot be read: {error}",
            dir.display()
        ))
    })?;
    explain(dir, id, &traces);
    match traces.proof() {
        Proof::Erased => Ok(()),
        Proof::Kept => Err(Failure::No(format!("{id} is not erased"))),
        Proof::Unknown if traces.record == RecordState::NoStore => Err(Failure::No(format!(
            "nothing is known of {id}: there is no store in {}; set store.dir to the daemon's",
            dir.display()
        ))),
        Proof::Unknown => Err(Failure::No(format!(
            "nothing is known of {id}: \
             the store {} names it neither among its keys nor among its removed subscriptions",
            dir.display()
        ))),
        Proof::NotWhole(why) => Err(Failure::Internal(format!(
            "nothing is proven of {id}: the store {} is not whole: {why}",
            dir.display()
        ))),
    }
}

fn explain(dir: &Path, id: SubscriptionId, traces: &Residue) {
    let short = |path: &Path| path.strip_prefix(dir).unwrap_or(path).display().to_string();
    print(&format!("{id} in {} files of {}", traces.files, dir.display()));
    for key in &traces.keys {
        print(&format!("  {} at byte {}: a key that opens it", short(&key.file), key.offset));
    }
    for erased in &traces.erased {
        print(&format!(
            "  {} at byte {}: its slot, overwritten when it was removed or updated",
            short(&erased.file),
            erased.offset
        ));
    }
    for (file, count) in &traces.named {
        let what = match short(file).as_str() {
            "removed" => "the list of removed subscriptions, which holds ids and nothing else",
            name if name.starts_with("db") => {
                "its id; the rest of its record there is sealed under its key"
            }
            name if name.starts_with("ledger") => "its id, among recent deliveries",
            name if name.starts_with("history") => {
                "its id, with times and outcomes of its deliveries, until history.retention is over"
            }
            _ => "its id",
        };
        print(&format!("  {}: {count} times {what}", short(file)));
    }
    if traces.proof() == Proof::Erased {
        print(
            "erased: no key that opens it is in any of these files. \
             What remains of its record cannot be opened.",
        );
    }
    if let Some(kind) = traces.keeps_old {
        print(&format!(
            "but {kind} may keep overwritten data in another place, outside of these files: \
             see docs/OPERATING.md, \"What deletion reaches\""
        ));
    }
}

async fn backup(config: &Config, dir: &Path) -> Result<(), Failure> {
    let dir = std::path::absolute(dir)
        .map_err(|error| Failure::Usage(format!("{}: {error}", dir.display())))?;
    let request = BackupRequest { dir: dir.clone() };
    let access = Backend::open_existing(config).await?;
    let made: BackupView = access
        .ask(Method::POST, "/v1/store/backup", request, async |service, request| {
            service.backup(&request).await
        })
        .await?;
    print(&format!(
        "{}: {} subscriptions, opened by the master key {}, and {} texts of templates; \
         keep its file keys apart from records",
        dir.display(),
        made.subscriptions,
        made.key,
        made.templates
    ));
    Ok(())
}

async fn restore(
    config: &Config,
    dir: &Path,
    lists: &[std::path::PathBuf],
    yes: bool,
) -> Result<(), Failure> {
    // The store's lock cannot show it: a daemon whose folder was moved away still uses that folder.
    if Client::find(&config.admin.socket).await.is_some() {
        let socket = config.admin.socket.display();
        return Err(Failure::Usage(format!(
            "a daemon runs, and answers on {socket}: stop it, then restore; nothing was changed"
        )));
    }
    let settings = config.store.clone();
    let backup = store::restorable(dir, &settings).map_err(|error| backup_failure(&error))?;
    if lists.is_empty() && !yes {
        let warning = format!(
            "webhooks that were removed after the backup was made come back with its {} \
             subscriptions: --removed FILE leaves out what a newer list names",
            backup.subscriptions
        );
        if !confirm(&warning, "restore all the same?")? {
            return Err(Failure::No("nothing was restored".to_owned()));
        }
    }
    let restored = store::restore(dir, &settings, lists, Clock::System.now())
        .map_err(|error| backup_failure(&error))?;
    // Verifying opens every record, which also proves that the master key is the right one.
    let store = local_store::open_store(config).await?;
    let found = store.verify().await.map_err(|error| backend::failure(error.into()))?;
    if !found.is_sound() {
        return Err(Failure::Internal(format!("the restored store is not sound: {found:?}")));
    }
    print(&format!(
        "{}: {} subscriptions restored and opened, {} left out as they were removed since; \
         {} texts of templates",
        settings.dir.display(),
        restored.subscriptions,
        restored.removed,
        restored.templates
    ));
    Ok(())
}

fn backup_failure(error: &BackupError) -> Failure {
    let message = with_causes(error);
    match error {
        BackupError::Exists(_) | BackupError::NoBackup { .. } | BackupError::Rotating => {
            Failure::Usage(message)
        }
        BackupError::File { .. } => Failure::Unavailable(message),
        BackupError::Store(error) => local_store::store_failure(error),
    }
}

async fn verify(config: &Config, json: bool) -> Result<(), Failure> {
    let access = Backend::open_existing(config).await?;
    let found: VerifyView = access
        .ask(Method::POST, "/v1/store/verify", (), async |service, ()| service.verify().await)
        .await?;
    if json {
        print_json(&found);
    } else {
        for (what, count) in [
            ("subscriptions that open", found.sound),
            ("that do not open", found.broken.len()),
            ("without a key", found.without_key),
            ("keys without a subscription", found.keys_without_subscription),
            ("index entries that lead nowhere", found.lost_entries),
            ("subscriptions that an index misses", found.unindexed),
            ("whole texts of templates", found.templates),
            ("broken texts of templates", found.broken_templates.len()),
        ] {
            print(&format!("{what:<36} {count}"));
        }
        found.broken.iter().for_each(|id| print(&format!("does not open: {id}")));
        found
            .broken_templates
            .iter()
            .for_each(|one| print(&format!("template cannot be read: {one}")));
    }
    if found.ok {
        Ok(())
    } else {
        Err(Failure::Internal("the store is not as it should be".to_owned()))
    }
}
