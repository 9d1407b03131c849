//! Checks conditions between several keys.
//!
//! Owns those conditions; their messages name both keys.
//!
//! Not here: checks of a single value (`settings/form.rs`).

use std::time::Duration;

use super::{Config, PlatformSettings, reader::Reader};
use crate::send::PlatformProxy;

pub(super) fn cross_field(config: &Config, r: &mut Reader<'_>) {
    tiers(config, r);
    let limits = [
        (
            "broker",
            "reconnect_min",
            config.broker.reconnect_min,
            "broker.reconnect_max",
            config.broker.reconnect_max,
        ),
        (
            "event",
            "time_to_live",
            config.event.time_to_live,
            "event.time_to_live_max",
            config.event.time_to_live_max,
        ),
        (
            "send",
            "connect_timeout",
            config.send.connect_timeout,
            "send.deadline",
            config.send.deadline,
        ),
    ];
    for (section, key, value, other, limit) in limits {
        if value > limit {
            r.cross_field(section, key, &format!("it is longer than {other}"));
        }
    }
    if config.send.proxy.is_none() && config.send.proxy_auth_file.is_some() {
        r.cross_field("send", "proxy_auth_file", "there is no send.proxy");
    }
    if config.breaker.probe_min > config.breaker.probe_max {
        r.cross_field("breaker", "probe_min", "it is longer than breaker.probe_max");
    }
    if config.health.probe_min > config.health.probe_max {
        r.cross_field("health", "probe_min", "it is longer than health.probe_max");
    }
    if config.pace.early_max < config.pace.hold_max {
        r.cross_field("pace", "early_max", "it is shorter than pace.hold_max");
    }
    for (platform, section) in config.platforms.iter() {
        let name = format!("platforms.{platform}");
        if section.penalty_min > section.penalty_max {
            r.cross_field(&name, "penalty_min", "it is longer than penalty_max");
        }
        ways(section, &name, r);
    }
    if config.admin.listen.is_some() && config.admin.token_file.is_none() {
        r.cross_field(
            "admin",
            "listen",
            "a TCP address needs admin.token_file, \
             because the API gives access to every subscription",
        );
    }
    if config.admin.console && config.admin.listen.is_none() {
        r.cross_field(
            "admin",
            "console",
            "a browser cannot open the Unix socket: set admin.listen and admin.token_file",
        );
    }
    if config.broker.url_file.is_some() && r.sets("broker", "url") {
        r.cross_field("broker", "url_file", "broker.url is set as well: leave one of them out");
    }
    if config.broker.heartbeat < Duration::from_secs(1) {
        r.cross_field("broker", "heartbeat", "the protocol counts in whole seconds: at least 1s");
    }
}

/// The settings of the way to one platform.
fn ways(section: &PlatformSettings, name: &str, r: &mut Reader<'_>) {
    let through = match &section.proxy {
        Some(PlatformProxy::Through(_)) => true,
        Some(PlatformProxy::Direct) | None => false,
    };
    if through && section.base_url.as_ref().is_some_and(|url| url.scheme() == "http") {
        r.cross_field(
            name,
            "proxy",
            "base_url begins with http://, so the proxy would read the webhooks: use https://",
        );
    }
    if !through && section.proxy_auth_file.is_some() {
        r.cross_field(name, "proxy_auth_file", "this platform has no proxy of its own");
    }
    if section.hosts.is_empty() && !section.private_networks.is_empty() {
        r.cross_field(name, "private_networks", "it is for the hosts in `hosts`: name them there");
    }
}

fn tiers(config: &Config, r: &mut Reader<'_>) {
    let tiers = &config.delay.tiers;
    let Some(shortest) = tiers.first() else {
        r.cross_field("delay", "tiers", "at least one tier is needed");
        return;
    };
    if !tiers.is_sorted_by(|earlier, later| earlier < later) {
        r.cross_field("delay", "tiers", "each tier must be longer than the one before it");
    }
    if *shortest > config.pace.hold_max {
        r.cross_field(
            "delay",
            "tiers",
            "the first tier is longer than pace.hold_max: shorter waits would all be in memory",
        );
    }
    if tiers.last().is_some_and(|longest| *longest > Duration::from_secs(24 * 3600)) {
        r.cross_field("delay", "tiers", "a tier may be 24h long at the most");
    }
}
