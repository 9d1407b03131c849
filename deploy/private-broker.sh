#!/usr/bin/env bash
# Runs a private RabbitMQ in the foreground: its own node, ports and data directory, reachable from
# this machine alone. The system's own RabbitMQ service, running or not, is left alone.
#
#   deploy/private-broker.sh DIR PORT [--with-stdin]
#
# DIR holds everything the node writes and may exist already (a restart keeps its queues). What a
# file DIR/more.conf says, such as a listener with TLS, is added to the node's configuration. Ends
# with SIGTERM or SIGINT, with --with-stdin also when its standard input ends, and takes its helpers
# along. User and password are guest and guest.
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: private-broker.sh DIR PORT [--with-stdin]" >&2; exit 64; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
port=$2

server=/usr/lib/rabbitmq/bin/rabbitmq-server
[ -x "$server" ] || { echo "private-broker.sh: $server is missing: install Debian's package rabbitmq-server" >&2; exit 69; }
command -v epmd >/dev/null || { echo "private-broker.sh: epmd is missing: install Debian's package erlang-base" >&2; exit 69; }

# The port mapper and the node's distribution port go beside the AMQP port, on loopback only.
epmd_port=$((port + 1))
export HOME=$dir ERL_EPMD_PORT=$epmd_port ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_NODENAME=private-$port@localhost
export RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=$port RABBITMQ_DIST_PORT=$((port + 2))
export RABBITMQ_MNESIA_BASE=$dir/data RABBITMQ_LOG_BASE=$dir/log RABBITMQ_PID_FILE=$dir/node.pid
export RABBITMQ_CONFIG_FILE=$dir/rabbitmq RABBITMQ_CONF_ENV_FILE=$dir/no-environment-file
export RABBITMQ_ENABLED_PLUGINS_FILE=$dir/enabled_plugins
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
printf '[].\n' >"$dir/enabled_plugins"
# The disk alarm is for servers with a disk of their own; the memory alarm stays.
printf 'loopback_users.guest = true\ndisk_free_limit.absolute = 50MB\n' >"$dir/rabbitmq.conf"
[ ! -e "$dir/more.conf" ] || cat "$dir/more.conf" >>"$dir/rabbitmq.conf"

epmd -port "$epmd_port" -address 127.0.0.1 &
mapper=$!
"$server" >"$dir/server.log" 2>&1 &
node=$!

stop() {
    kill -TERM "$node" 2>/dev/null || true
    wait "$node" 2>/dev/null || true
    kill "$mapper" 2>/dev/null || true
}
trap 'stop; exit 0' TERM INT
trap stop EXIT
if [ "${3:-}" = --with-stdin ]; then
    exec 3<&0
    { cat <&3 >/dev/null; kill -TERM $$ 2>/dev/null; } &
fi
wait "$node"
