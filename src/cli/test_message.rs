//! `roomcast subscription test`: sends a test message through the daemon, and prints the answer.
//!
//! Owns the exit code of each outcome.
//!
//! Not here: the words (`admin/test_message.rs`), and the test itself
//! (`pipeline/test_message.rs`).

use super::{
    backend::parse_arg,
    exit::Failure,
    output::{print, print_json},
    robot::daemon,
};
use crate::{admin::wire::TestView, config::Config, domain::SubscriptionId};

pub(super) async fn run(config: &Config, id: &str, json: bool) -> Result<(), Failure> {
    let id: SubscriptionId = parse_arg(id)?;
    let tested: TestView =
        daemon(config).await?.post(&format!("/v1/subscriptions/{id}/test"), &()).await?;
    if json {
        print_json(&tested);
    }
    let TestView { outcome, says, advice, .. } = tested;
    if outcome == TestView::DELIVERED {
        if !json {
            print(&says);
        }
        return Ok(());
    }
    let says = advice.map_or_else(|| says.clone(), |advice| format!("{says}; {advice}"));
    Err(match outcome.as_str() {
        TestView::NOT_SENT => Failure::Unavailable(says),
        _ => Failure::No(says),
    })
}
