//! `roomcast subscription import`: adds many subscriptions from a file, some hundred at a time.
//!
//! Owns that an interrupted import can be repeated: each line is added completely or refused, a
//! refused line does not stop the others, and an existing subscription is not an error.
//!
//! Not here: the formats of the file (`import_lines.rs`).

use std::{fs::File, io, path::Path};

use hyper::Method;
use indicatif::ProgressBar;

use super::{
    args,
    backend::Backend,
    exit::Failure,
    import_lines::{self, ImportLine},
    local_store,
    output::{bar, print, print_status},
};
use crate::{
    admin::{
        self,
        wire::{ImportItem, ImportRequest, ImportResult},
    },
    crypto::{MasterKey, TransferKey},
    platforms::WebhookHosts,
};

/// How many subscriptions one request carries at most.
const BATCH_SIZE: usize = 500;
/// A request is sent earlier once it has this many bytes, far below the daemon's limit.
const BATCH_BYTES: usize = 1024 * 1024;
/// How many refused lines are reported one by one; further ones are only counted.
const NAMED_MAX: usize = 1000;

#[derive(Default)]
struct ImportReport {
    added: usize,
    existed: usize,
    refused: usize,
}

impl ImportReport {
    fn refuse(&mut self, line: u64, why: &str) {
        self.refused += 1;
        if self.refused <= NAMED_MAX {
            print_status(&format!("line {line}: {why}"));
        }
    }
}

pub(super) async fn run(
    access: &Backend,
    import: &args::Import,
    hosts: &WebhookHosts,
) -> Result<(), Failure> {
    let key = import
        .key
        .as_deref()
        .map(MasterKey::load)
        .transpose()
        .map_err(|error| local_store::key_failure(&error))?;
    let key = key.as_ref().map(TransferKey::derive);
    let path = import.file.as_deref().filter(|path| *path != Path::new("-"));
    let (input, length): (Box<dyn io::Read>, _) = match path {
        None => (Box::new(io::stdin()), None),
        Some(path) => {
            let file = File::open(path).map_err(|error| unreadable(path, &error))?;
            let length = file.metadata().ok().map(|data| data.len());
            (Box::new(file), length)
        }
    };
    let bar = bar("importing", length, true);
    let lines = import_lines::read(bar.wrap_read(input), path, import.format, key)?;
    let mut report = ImportReport::default();
    if import.dry_run {
        dry_run(lines, &mut report, hosts);
    } else {
        send(access, lines, &mut report, &bar).await?;
    }
    bar.finish_and_clear();
    let ImportReport { added, existed, refused } = report;
    let verb = if import.dry_run { "would be added or are there already" } else { "added" };
    print(&format!("{added} {verb}, {existed} there already, {refused} refused"));
    if refused > 0 {
        Err(Failure::Usage(format!("{refused} lines were refused; nothing of them was added")))
    } else {
        Ok(())
    }
}

fn dry_run(
    lines: impl Iterator<Item = ImportLine>,
    report: &mut ImportReport,
    hosts: &WebhookHosts,
) {
    for line in lines {
        match line
            .content
            .and_then(|request| admin::check(request, hosts).map_err(|refusal| refusal.to_string()))
        {
            Ok(()) => report.added += 1,
            Err(why) => report.refuse(line.number, &why),
        }
    }
}

async fn send(
    access: &Backend,
    mut lines: impl Iterator<Item = ImportLine>,
    report: &mut ImportReport,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    loop {
        let (mut numbers, mut subscriptions) = (Vec::new(), Vec::new());
        let (mut some, mut bytes) = (false, 0);
        for line in lines.by_ref() {
            some = true;
            bytes += line.bytes;
            match line.content {
                Ok(request) => {
                    numbers.push(line.number);
                    subscriptions.push(ImportItem(Ok(request)));
                }
                Err(why) => bar.suspend(|| report.refuse(line.number, &why)),
            }
            if numbers.len() == BATCH_SIZE || bytes > BATCH_BYTES {
                break;
            }
        }
        if !some {
            return Ok(());
        }
        let request = ImportRequest { subscriptions };
        let outcome: Result<Vec<ImportResult>, _> = access
            .ask(Method::POST, "/v1/subscriptions/import", request, async |service, request| {
                service.import(request).await
            })
            .await;
        let outcomes = outcome.inspect_err(|_| {
            let done = report.added + report.existed;
            print_status(&format!(
                "{done} lines were imported before this; import the file again to go on"
            ));
        })?;
        for (number, outcome) in numbers.into_iter().zip(outcomes) {
            match outcome {
                ImportResult { refused: Some(why), .. } => {
                    bar.suspend(|| report.refuse(number, &why))
                }
                ImportResult { existed: true, .. } => report.existed += 1,
                ImportResult { .. } => report.added += 1,
            }
        }
    }
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("{} cannot be read: {error}", path.display()))
}
