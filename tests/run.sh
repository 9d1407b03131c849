#!/usr/bin/env bash
# Runs everything: formatting, lints, unit, property and integration tests against a real, private
# RabbitMQ, a real browser and the real binaries. Installs what is missing where it can, says in one
# line what is missing where it cannot.
#
#   tests/run.sh
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }
fail() { echo "tests/run.sh: $*" >&2; exit 69; }

command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.91 or later"
deploy/need.sh cc=gcc /usr/lib/rabbitmq/bin/rabbitmq-server=rabbitmq-server chromium=chromium chromedriver=chromium-driver tinyproxy=tinyproxy microsocks=microsocks

say "formatting"
cargo fmt --check
say "lints"
cargo clippy --locked --all-targets -- -D warnings
say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet
say "tests"
# Not the bench: it measures, and only a release build is worth measuring. The lints have compiled
# it. Two of them judge times: they run alone, so that nothing else takes their machine away.
bursts=bursts_for_two_hundred_robots soak=soak::
# Most of the others wait for long, so more of them run at once than there are processors.
threads=$(($(nproc) * 3 / 2))
cargo test --locked --lib --bins --tests -- --skip $bursts --skip $soak --test-threads "$threads"
cargo test --locked --test it -- $bursts $soak --test-threads 1
say "clients that others wrote"
# What they send today, where they can be installed; what they sent when they were recorded is
# compared above.
if tests/clients/record.sh target/tmp/clients; then
    ROOMCAST_CLIENTS=$PWD/target/tmp/clients cargo test --locked --test clients
elif [ $? -ne 69 ]; then
    fail "the clients could not be recorded"
fi
say "all passed"
