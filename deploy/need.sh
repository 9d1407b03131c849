#!/usr/bin/env bash
# Installs Debian packages for programs that are missing; does nothing for those that are there.
#
#   deploy/need.sh PROGRAM=PACKAGE…
#
# such as cc=gcc /usr/lib/rabbitmq/bin/rabbitmq-server=rabbitmq-server
#
# As an ordinary user it goes through sudo where that asks nothing. What cannot be had is said in
# one line; exit code 69. No package that it installs starts a service.
set -euo pipefail

fail() { echo "need.sh: $*" >&2; exit 69; }

missing=() packages=()
for pair in "$@"; do
    program=${pair%%=*}
    if ! command -v "$program" >/dev/null && [ ! -x "$program" ]; then
        missing+=("$program")
        packages+=("${pair#*=}")
    fi
done
[ ${#missing[@]} -gt 0 ] || exit 0

become=()
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || fail "${missing[*]} missing, and installing needs root: apt-get install ${packages[*]}"
    become=(sudo -n)
fi
command -v apt-get >/dev/null || fail "${missing[*]} missing, and there is no apt-get to install ${packages[*]} with"

echo "installing ${packages[*]}" >&2
# Debian's way to keep a package from starting its service.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap '"${become[@]}" rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${become[@]}" tee $policy >/dev/null
    "${become[@]}" chmod +x $policy
fi
log=$(mktemp)
{
    "${become[@]}" apt-get update -qq &&
        "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
} >"$log" 2>&1 || { tail -3 "$log" >&2; fail "${packages[*]} could not be installed; the log is $log"; }
rm -f "$log"
