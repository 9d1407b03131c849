//! `roomcast key …`: creates the master key, rotates it, shows its state.
//!
//! Owns the order of a rotation: the new key is created beside the old one, the store accepts it,
//! it replaces the old file, and the store is told so. After an interruption at any step, the key
//! in `key.file` opens the store, and the same command continues.
//!
//! Not here: wrapping data keys (`store`), and the key's file format (`crypto`).

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper::Method;

use super::{
    args,
    backend::Backend,
    exit::Failure,
    local_store,
    output::{bar, print, print_json, print_status},
};
use crate::{
    admin::wire::{KeyView, RotateRequest},
    config::Config,
    crypto::{Keys, MasterKey},
};

/// The interval between two questions about the progress.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// After this many equal answers the task counts as stopped: half a minute.
const STALLED_MAX: u32 = 150;

pub(super) async fn run(config: &Config, command: args::Key) -> Result<(), Failure> {
    match command {
        args::Key::Init { path } => {
            let path = path.unwrap_or_else(|| config.key.file.clone());
            MasterKey::generate_file(&path).map_err(|error| local_store::key_failure(&error))?;
            print(&format!(
                "{}: a new master key; back it up where the data is not",
                path.display()
            ));
            Ok(())
        }
        args::Key::Rotate { data: true, .. } => {
            let access = Backend::open(config).await?;
            let _: KeyView = access
                .ask(Method::POST, "/v1/key/data", (), async |service, ()| service.reseal().await)
                .await?;
            let view =
                wait(&access, "sealing anew", |view| view.sealing.map(|one| (one.done, one.total)))
                    .await?;
            print(&format!(
                "{} subscriptions are sealed under new data keys; the old ones are destroyed",
                view.data_keys
            ));
            Ok(())
        }
        args::Key::Rotate { in_place: true, .. } => in_place(&Backend::open(config).await?).await,
        args::Key::Rotate { new_key, .. } => rotate(config, new_key).await,
        args::Key::Status { json } => status(&Backend::open(config).await?, json).await,
    }
}

async fn view(access: &Backend) -> Result<KeyView, Failure> {
    access.ask(Method::GET, "/v1/key", (), async |service, ()| service.key().await).await
}

async fn rotate(config: &Config, given: Option<PathBuf>) -> Result<(), Failure> {
    let (access, file) = (Backend::open(config).await?, &config.key.file);
    let before = view(&access).await?;
    let rotating = before.old.is_some();
    if rotating && given.is_none() && load(file).is_ok_and(|key| id(&key) == before.current) {
        return in_place(&access).await;
    }
    let ours = given.is_none();
    let path = given.unwrap_or_else(|| beside(file, "new"));
    if ours && !path.exists() {
        if rotating {
            let why = format!(
                "the store is being rotated to the key {}: put that into {}",
                before.current,
                path.display()
            );
            return Err(Failure::Usage(why));
        }
        MasterKey::generate_file(&path).map_err(|error| local_store::key_failure(&error))?;
    }
    let new = load(&path)?;
    let request = RotateRequest { new_key: new.to_hex() };
    let begun: KeyView = access
        .ask(Method::POST, "/v1/key/rotation", request, async |service, request| {
            service.rotate(&request).await
        })
        .await?;
    if ours {
        let old = begun.old.unwrap_or(before.current);
        put_in_place(&path, file, &beside(file, &format!("{old}.old"))).map_err(|error| {
            let what =
                format!("{} could not be put in the place of {}", path.display(), file.display());
            Failure::Unavailable(format!("{what}: {error}; both open the store until that is done"))
        })?;
        return in_place(&access).await;
    }
    wait(&access, "wrapping data keys", |view| view.wrapping.map(|one| (one.done, one.total)))
        .await?;
    print(&format!(
        "every data key is wrapped under {}; put it where the daemon looks for its key ({}), \
         then restart the daemon or say `roomcast key rotate --in-place`; \
         until then both keys open the store",
        path.display(),
        file.display()
    ));
    Ok(())
}

/// Confirms that the new key is in its place, and waits until the old one is no longer accepted.
async fn in_place(access: &Backend) -> Result<(), Failure> {
    let told: KeyView = access
        .ask(Method::POST, "/v1/key/rotation/in-place", (), async |service, ()| {
            service.replace_key_in_place().await
        })
        .await?;
    let old = told.old.clone();
    if let (Backend::LocalStore(service), Some(_)) = (access, &old) {
        service.resume_rotation();
    }
    let done = wait(access, "wrapping data keys", |view| match (view.wrapping, &view.old) {
        (Some(one), _) => Some((one.done, one.total)),
        // The last step, after which the old key is no longer accepted.
        (None, Some(_)) => Some((1, 1)),
        (None, None) => None,
    })
    .await?;
    match old {
        Some(old) => print(&format!(
            "the master key is {}; {old} opens nothing any more: \
             keep it as long as backups made with it, and no longer",
            done.current
        )),
        None => print(&format!("the master key is {}", done.current)),
    }
    Ok(())
}

async fn status(access: &Backend, json: bool) -> Result<(), Failure> {
    let view = view(access).await?;
    if json {
        print_json(&view);
        return Ok(());
    }
    print(&format!("{:<12} {}", "master key", view.current));
    print(&format!("{:<12} {}", "data keys", view.data_keys));
    let progress = |one: Option<crate::admin::wire::ProgressView>| {
        one.map_or_else(
            || "not under way".to_owned(),
            |one| format!("{} of {}", one.done, one.total),
        )
    };
    if let Some(old) = &view.old {
        let place = if view.in_place {
            "the new key is in its place"
        } else {
            "the new key is not in its place yet"
        };
        print(&format!("{:<12} from {old}; {place}; both open the store", "rotation"));
        print(&format!("{:<12} {}", "wrapping", progress(view.wrapping)));
    }
    if view.sealing.is_some() {
        print(&format!("{:<12} {}", "sealing anew", progress(view.sealing)));
    }
    Ok(())
}

/// Shows the progress until the task has ended.
async fn wait(
    access: &Backend,
    what: &'static str,
    progress: impl Fn(&KeyView) -> Option<(usize, usize)>,
) -> Result<KeyView, Failure> {
    let bar = bar(what, Some(0), false);
    let (mut last, mut still) = (None, 0);
    loop {
        let view = view(access).await?;
        still = if last == progress(&view) { still + 1 } else { 0 };
        last = progress(&view);
        if still > STALLED_MAX {
            let why =
                "it does not go on; the daemon's log says why, and the same command tries again";
            return Err(Failure::Internal(format!("{what}: {why}")));
        }
        let Some((done, total)) = progress(&view) else {
            bar.finish_and_clear();
            return Ok(view);
        };
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Replaces the key file. The old key stays under its own name, and `file`
/// is a complete key at any time.
fn put_in_place(new: &Path, file: &Path, old: &Path) -> io::Result<()> {
    match fs::hard_link(file, old) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::rename(new, file)?;
    let folder =
        file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    print_status(&format!("{} is the new key; the old one is {}", file.display(), old.display()));
    Ok(())
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{ending}"));
    PathBuf::from(name)
}

fn load(path: &Path) -> Result<MasterKey, Failure> {
    MasterKey::load(path).map_err(|error| local_store::key_failure(&error))
}

fn id(key: &MasterKey) -> String {
    Keys::derive(key).id().to_string()
}
