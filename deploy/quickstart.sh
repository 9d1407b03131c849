#!/usr/bin/env bash
# Shows roomcast at work on this machine, alone: a private RabbitMQ, the emulated chat platforms,
# the daemon, four chats, events from a plain AMQP client, a message that has to wait for its
# robot's quota, a dead letter. Ends by itself and leaves nothing behind.
#
#   deploy/quickstart.sh
#
# AMQP_URL=amqp://user:password@host/vhost   uses that broker instead of a private one, under a
#                                            prefix of its own that is deleted at the end
# BIN_DIR=DIR                                uses the binaries in DIR instead of building them
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
work=$(mktemp -d)
prefix=quickstart-$$
children=() container=

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
note() { printf '   %s\n' "$*"; }
fail() { echo "quickstart.sh: $*" >&2; exit 69; }

finish() {
    local code=$?
    trap '' INT TERM
    for child in "${children[@]}"; do kill -TERM "$child" 2>/dev/null || true; done
    for child in "${children[@]}"; do wait "$child" 2>/dev/null || true; done
    [ -z "$container" ] || "$engine" rm -f "$container" >/dev/null 2>&1 || true
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Waits until a command succeeds; fails with the tail of a log if that takes too long.
until_true() {
    local what=$1 seconds=$2 log=$3 end
    shift 3
    end=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            [ ! -s "$log" ] || tail -5 "$log" >&2
            fail "$what did not happen within $seconds s"
        fi
        sleep 0.2
    done
}

free_port() {
    local port
    for port in $(shuf -i 20000-50000 -n 200); do
        local taken= near
        for near in "$port" $((port + 1)) $((port + 2)); do
            if (exec 3<>"/dev/tcp/127.0.0.1/$near") 2>/dev/null; then taken=yes; fi
        done
        [ -n "$taken" ] || { echo "$port"; return; }
    done
    fail "no free port was found"
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# ---------------------------------------------------------------------------------------------------------------------------

say "1. The binaries"
if [ -z "${BIN_DIR:-}" ]; then
    command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.91 or later (https://rustup.rs)"
    "$here/need.sh" cc=gcc
    note "cargo build --release (a few minutes the first time)"
    (cd "$root" && cargo build --release --locked --bins --quiet)
    BIN_DIR=${CARGO_TARGET_DIR:-$root/target}/release
fi
[ -x "$BIN_DIR/roomcast" ] && [ -x "$BIN_DIR/roomcast-emulator" ] || fail "$BIN_DIR holds no roomcast and roomcast-emulator"
note "$BIN_DIR/roomcast"
"$here/need.sh" curl=curl amqp-publish=amqp-tools

say "2. RabbitMQ"
server=/usr/lib/rabbitmq/bin/rabbitmq-server
engine=$(command -v docker || command -v podman || true)
if [ -n "${AMQP_URL:-}" ]; then
    note "the broker that AMQP_URL names, under the prefix $prefix"
elif [ -x $server ] || [ -z "$engine" ] || "$here/need.sh" $server=rabbitmq-server 2>/dev/null; then
    "$here/need.sh" $server=rabbitmq-server
    port=$(free_port)
    "$here/private-broker.sh" "$work/broker" "$port" >"$work/broker.log" 2>&1 &
    children+=($!)
    AMQP_URL=amqp://guest:guest@127.0.0.1:$port/%2f
    note "a private node on port $port; the system's own service is left alone"
else
    port=$(free_port)
    container=$("$engine" run -d --rm -p "127.0.0.1:$port:5672" docker.io/library/rabbitmq:3) || fail "$engine could not start rabbitmq:3"
    AMQP_URL=amqp://guest:guest@127.0.0.1:$port/%2f
    note "in a container ($(basename "$engine")), on port $port"
fi

say "3. The chat platforms, emulated on loopback; their minute is 6 seconds here"
"$BIN_DIR/roomcast-emulator" --listen 127.0.0.1:0 --port-file "$work/port" --window-seconds 6 >"$work/emulator.log" 2>&1 &
children+=($!)
until_true "the emulator's start" 10 "$work/emulator.log" test -s "$work/port"
platforms=http://$(cat "$work/port")
note "$platforms"
# The signing secret of one robot; a robot that was deleted from its group.
curl -sSf -X PUT "$platforms/robots/dingtalk/team-a-dingtalk" -H 'content-type: application/json' -d '{"secret": "SECquickstart"}' >/dev/null
curl -sSf -X PUT "$platforms/robots/wecom/deleted-robot" -H 'content-type: application/json' -d '{"state": "gone"}' >/dev/null

say "4. Key and configuration"
# It has a password in it.
(umask 077 && : >"$work/roomcast.toml")
cat >"$work/roomcast.toml" <<TOML
[broker]
url = "$AMQP_URL"
prefix = "$prefix"
reconnect_min = "200ms"
reconnect_max = "1s"
[store]
dir = "$work/data"
[key]
file = "$work/master.key"
[admin]
socket = "$work/admin.sock"
[platforms.dingtalk]
base_url = "$platforms"
windows = ["20/6s"]
[platforms.dingtalk_internal]
base_url = "$platforms"
windows = ["20/6s"]
[platforms.lark]
base_url = "$platforms"
windows = ["100/6s", "5/100ms"]
[platforms.wecom]
base_url = "$platforms"
windows = ["20/6s"]
TOML
roomcast() { "$BIN_DIR/roomcast" --config "$work/roomcast.toml" "$@"; }
roomcast key init >/dev/null
note "roomcast key init"
until_true "an answer of the broker" 90 "$work/broker.log" roomcast check
roomcast check | sed 's/^/   /'

say "5. The daemon"
# Not through the function: what is started shall be the daemon itself, which is stopped by its
# process id.
"$BIN_DIR/roomcast" --config "$work/roomcast.toml" run >"$work/daemon.log" 2>&1 &
children+=($!)
is_ready() { curl -sf --unix-socket "$work/admin.sock" http://localhost/readyz; }
until_true "the daemon's start" 60 "$work/daemon.log" is_ready
note "roomcast run"

say "6. Four chats subscribe to the topic alerts; one robot that no longer exists to the topic orphans"
subscribe() { printf '%s\n' "${@:4}" | roomcast subscription add --topic "$1" --platform "$2" --name "$3" >/dev/null; }
subscribe alerts dingtalk team-a "https://oapi.dingtalk.com/robot/send?access_token=team-a-dingtalk" SECquickstart
subscribe alerts dingtalk_internal team-b "https://oapi.dingtalk.com/robot/send?access_token=team-b-internal"
subscribe alerts lark team-c "https://open.feishu.cn/open-apis/bot/v2/hook/team-c-lark"
subscribe alerts wecom team-d "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=team-d-wecom"
subscribe orphans wecom nobody "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=deleted-robot"
note "echo WEBHOOK | roomcast subscription add --topic alerts --platform wecom"
roomcast subscription list | sed 's/^/  /'

say "7. Events, published with amqp-publish, a plain AMQP client"
publish() { amqp-publish --url="$AMQP_URL" --exchange="$prefix.publish" --routing-key="$1" --content-type=application/json --persistent --body="$2"; }
received() { curl -sSf "$platforms/received/count"; }
arrived() { [ "$(received | sed 's/.*"accepted":\([0-9]*\).*/\1/')" -ge "$1" ]; }
note "amqp-publish --exchange=$prefix.publish --routing-key=alerts --body='{\"subject\": …}'"
publish alerts '{"subject": "db-1 is down", "message": "replica **db-2** took over", "format": "markdown"}'
until_true "the arrival in four chats" 30 "$work/daemon.log" arrived 4
publish orphans '{"message": "does anybody hear me?"}'
for number in $(seq 1 20); do publish alerts "{\"message\": \"disk ${number} is filling up\"}"; done
until_true "the arrival of everything" 60 "$work/daemon.log" arrived 84

say "8. What the chats received"
curl -sSf "$platforms/received" | tr '\n' ' ' | sed 's/},{"seq"/}\n{"seq"/g' >"$work/received"
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }
for token in team-a-dingtalk team-b-internal team-c-lark team-d-wecom; do
    mine=$(grep "\"token\":\"$token\"" "$work/received" | grep '"outcome":"accepted"')
    first=$(head -1 <<<"$mine" | field at_ms)
    last=$(tail -1 <<<"$mine" | field at_ms)
    note "$(printf '%-16s %2d messages; the first: %s' "$token" "$(wc -l <<<"$mine")" "$(head -1 <<<"$mine" | sed -n 's/.*"text":"\(\([^"\\]\|\\.\)*\)".*/\1/p')")"
    note "$(printf '%-16s the 21st came %d.%d s after the first' '' $(((last - first) / 1000)) $(((last - first) % 1000 / 100)))"
done
note ""
note "Three of the platforms allow 20 messages a minute (here: in 6 seconds). The 21st waited in RabbitMQ, not in a chat robot's refusal:"
note "refused for speed: $(received | sed 's/.*"throttled":\([0-9]*\).*/\1/')"

say "9. What could not be delivered, and why"
has_letter() { roomcast dead list --json | grep -q robot_gone; }
until_true "the dead letter" 30 "$work/daemon.log" has_letter
note "roomcast dead list"
roomcast dead list | sed 's/^/  /'
letter=$(roomcast dead list --json | sed -n 's/.*"id":"\([^"]*\)".*/\1/p' | head -1)
note ""
note "roomcast dead show $letter"
roomcast dead show "$letter" | sed 's/^/   /'

say "10. Cleaning up"
kill -TERM "${children[-1]}"
wait "${children[-1]}" 2>/dev/null || true
unset 'children[-1]'
# A broker that is not ours gets its names back.
if [ -z "${port:-}" ]; then
    "$BIN_DIR/roomcast" --config "$work/roomcast.toml" topology | sed -n 's/^ *"name": "\('"$prefix"'\.[^"]*\)".*/\1/p' | sort -u | while read -r name; do
        amqp-delete-queue --url="$AMQP_URL" --queue="$name" >/dev/null 2>&1 || true
    done
    note "the queues under $prefix are deleted; the empty exchanges under $prefix stay (amqp-tools cannot delete exchanges)"
fi
note "everything is stopped and $work is deleted"
