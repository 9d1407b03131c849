#!/usr/bin/env bash
# Runs everything: formatting, lints, unit, property and integration tests against a real, private RabbitMQ and the real
# binaries. Installs what is missing where it can, says in one line what is missing where it cannot.
#
#   tests/run.sh
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }
fail() { echo "tests/run.sh: $*" >&2; exit 69; }

# A Debian package for a program that is missing; as an ordinary user, through sudo where that asks nothing.
need() {
    local program=$1 package=$2
    if command -v "$program" >/dev/null || [ -x "$program" ]; then return; fi
    local become=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || fail "$program is missing: install Debian's package $package"
        become=(sudo -n)
    fi
    command -v apt-get >/dev/null || fail "$program is missing, and there is no apt-get to install $package with"
    say "installing $package"
    "${become[@]}" apt-get update -qq
    # The package would start a service of its own; tests bring their own broker.
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | "${become[@]}" tee $policy >/dev/null
        "${become[@]}" chmod +x $policy
        made=yes
    fi
    local ok=yes
    DEBIAN_FRONTEND=noninteractive "${become[@]}" apt-get install -y -qq --no-install-recommends "$package" >/dev/null || ok=
    [ -z "$made" ] || "${become[@]}" rm -f $policy
    [ -n "$ok" ] || fail "$package could not be installed"
}

command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.91 or later"
need cc gcc
need /usr/lib/rabbitmq/bin/rabbitmq-server rabbitmq-server

say "formatting"
cargo fmt --check
say "lints"
cargo clippy --locked --all-targets -- -D warnings
say "tests"
cargo test --locked --all-targets
say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet
say "all passed"
