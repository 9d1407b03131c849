#!/usr/bin/env bash
# Records what clients that others wrote send to the platforms: installs them from PyPI and npm into
# a temporary folder, lets them send to a server on loopback, and writes their requests to a folder.
# tests/clients.rs compares what roomcast sends with these. Exit code 69: they cannot be installed
# here.
#
#   tests/clients/record.sh [FOLDER]       by default tests/golden/clients
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
command -v python3 >/dev/null || { echo "record.sh: python3 is missing" >&2; exit 69; }
command -v npm >/dev/null || { echo "record.sh: npm is missing" >&2; exit 69; }
to="${1:-$here/../golden/clients}"
mkdir -p "$to"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
fail() { echo "record.sh: the clients cannot be installed here" >&2; exit 69; }
python3 -m venv "$work/venv" || fail
"$work/venv/bin/pip" install --quiet DingtalkChatbot==1.5.7 pylgb==0.1.0 larkpy==0.3.0 pywgb==1.0.5 || fail
npm install --silent --no-save --prefix "$work" dingtalk-robot-sender@1.2.0 || fail
NODE_PATH="$work/node_modules" HOME="$work" "$work/venv/bin/python" "$here/record.py" "$here/record.js" "$to"
