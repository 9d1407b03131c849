//! `roomcast subscription export`: writes subscriptions, masked or sealed for another machine.
//!
//! Owns that an export without a key file shows no credential.
//!
//! Not here: the columns (`columns.rs`), sealing (`admin/subscriptions.rs`), and reading such a
//! file (`import.rs`).

use std::{io, path::Path};

use hyper::Method;

use super::{
    args::{self, ListFormat},
    backend::{Backend, parse_arg},
    columns,
    exit::Failure,
    local_store,
    output::{print, print_json, print_status},
};
use crate::{
    admin::wire::{ExportPage, ExportRequest, ListQuery, SubscriptionView},
    crypto::MasterKey,
    domain::ListFilter,
};

/// How many subscriptions one request fetches.
const PAGE: usize = 500;

pub(super) async fn run(access: &Backend, export: &args::Export) -> Result<(), Failure> {
    let filter = ListFilter {
        topic: export.topic.as_deref().map(parse_arg).transpose()?,
        platform: export.platform.as_deref().map(parse_arg).transpose()?,
        ..ListFilter::default()
    };
    let query = ListQuery { filter, limit: Some(PAGE), ..ListQuery::default() };
    match &export.sealed {
        Some(key) => sealed(access, query, key).await,
        None => masked(access, query, export.format).await,
    }
}

async fn sealed(access: &Backend, mut query: ListQuery, key: &Path) -> Result<(), Failure> {
    let key = MasterKey::load(key).map_err(|error| local_store::key_failure(&error))?;
    let mut count = 0;
    loop {
        let request = ExportRequest { query: query.clone(), key: key.to_hex() };
        let page: ExportPage = access
            .ask(Method::POST, "/v1/subscriptions/export", request, async |service, request| {
                service.export(&request).await
            })
            .await?;
        count += page.sealed.len();
        page.sealed
            .into_iter()
            .for_each(|sealed| print_json(&serde_json::json!({ "sealed": sealed })));
        query.after = page.next;
        if query.after.is_none() {
            print_status(&format!("{count} subscriptions, sealed"));
            return Ok(());
        }
    }
}

async fn masked(access: &Backend, mut query: ListQuery, format: ListFormat) -> Result<(), Failure> {
    if format == ListFormat::Csv {
        print(&columns::of_export().join(","));
    }
    loop {
        let page = access.page(&query).await?;
        for one in page.subscriptions {
            match format {
                ListFormat::Jsonl => print_json(&one),
                ListFormat::Csv => print(&line(&one)?),
            }
        }
        query.after = page.next;
        if query.after.is_none() {
            return Ok(());
        }
    }
}

fn line(one: &SubscriptionView) -> Result<String, Failure> {
    let failed = |error: csv::Error| Failure::Internal(error.to_string());
    let cells = columns::cells(one).map_err(|error| Failure::Internal(error.to_string()))?;
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    writer.write_record(cells).map_err(failed)?;
    let bytes = writer.into_inner().map_err(|error| Failure::Internal(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| failed(io::Error::other(error).into()))?;
    Ok(text.trim_end_matches('\n').to_owned())
}
