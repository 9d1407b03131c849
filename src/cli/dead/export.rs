//! `roomcast dead export`: writes every letter with its event exactly as it was published.
//!
//! Owns that an incomplete export fails.
//!
//! Not here: the fields of a line (`admin/wire/dead.rs`).

use super::DeadLetterReader;
use crate::{
    admin::dead_letters::whole,
    broker::DeadLetter,
    cli::{exit::Failure, output::print_status, spool::Spool},
};

pub(super) async fn run(looking: DeadLetterReader) -> Result<(), Failure> {
    let (mut spool, mut count) = (Spool::new(), 0_u64);
    let each = |letter: DeadLetter| {
        spool.json(&whole(&letter));
        count += 1;
    };
    let looked = looking.scan(each).await?;
    spool
        .show()
        .map_err(|error| Failure::Unavailable(format!("the export is not complete: {error}")))?;
    if looked.missed > 0 {
        return Err(Failure::Unavailable(format!(
            "the export is not complete: {} letters were missed",
            looked.missed
        )));
    }
    print_status(&format!("{count} dead letters"));
    Ok(())
}
