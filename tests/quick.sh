#!/usr/bin/env bash
# The short loop while you work: formatting, the rules of the tree and of the prose, unit and
# property tests, and a smoke run of the real daemon with a real, private RabbitMQ. It takes under
# two minutes on a tree that is built. tests/run.sh runs everything.
#
#   tests/quick.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# Tests of tests/it: a delivery to each platform, a dead letter and its redrive, an explanation, the
# mistakes of a configuration, and a daemon that ends in order.
smoke=(
    delivery::one_publish_reaches_all_four_platforms
    dead::a_dead_letter_is_redriven_alone_and_delivered_once
    explain::each_subscription_is_explained_and_the_preview_equals_the_message
    startup::broken_configuration_is_reported_at_once_with_lines
    crash::a_terminated_daemon_finishes_the_attempts_in_flight
)

say() { printf '\n== %s\n' "$*"; }
fail() { echo "tests/quick.sh: $*" >&2; exit 69; }

command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.91 or later"
deploy/need.sh cc=gcc /usr/lib/rabbitmq/bin/rabbitmq-server=rabbitmq-server

say "formatting"
cargo fmt --check
say "rules, unit and property tests"
cargo test --locked --quiet --lib --bins --test tidy --test prose --test log_lines --test events
say "smoke run"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test --locked --test it -- --exact "${smoke[@]}" | tee "$log"
# A name that matches no test is not an error for cargo.
grep -q "^test result: ok. ${#smoke[@]} passed" "$log" ||
    fail "not all smoke tests ran: their names at the top of this file are those of tests/it"
say "all passed; tests/run.sh runs everything"
