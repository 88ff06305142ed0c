#!/bin/bash
# Both daemons in the foreground:  tools/run.sh BUILD-FOLDER [CHATD-CONF [STREAMERD-CONF]]
# Without a config file of yours: the demo provider, on 127.0.0.1:8080, state in BUILD/state.
# Ends, and stops the other, when one daemon ends; Ctrl-C stops both.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1
chatd_conf=${2:-}
streamerd_conf=${3:-}
state=$build/state
bus=$(realpath -m "$state/bus")
# a socket's name has 107 bytes; below a long path the sockets lie elsewhere
if [ "${#bus}" -gt 80 ]; then
	bus=$(mktemp -d) || exit 1
	trap 'rm -rf "$bus"' EXIT
fi
chatd_pid=
streamerd_pid=

write_demo_configs() {
	mkdir -p "$state" "$bus" || exit 1
	cat >"$state/chatd.conf" <<-EOF
		[log]
		path = $state/events.db
		[bus]
		dir = $bus
		[workers]
		drain_timeout = 3
		[defaults]
		provider = demo
		[provider demo]
		type = demo
	EOF
	cat >"$state/streamerd.conf" <<-EOF
		[http]
		listen = 127.0.0.1:8080
		[bus]
		dir = $bus
		[auth]
		mode = none
	EOF
}

# host:port of "listen = ..." in a streamerd.conf; nothing for a Unix socket
address() {
	sed -n 's/^[[:blank:]]*listen[[:blank:]]*=[[:blank:]]*\([^[:blank:];]*\).*/\1/p' "$1" |
		grep -v '^unix:' | head -n 1
}

answers() {
	python3 - "$1" <<-'EOF' 2>/dev/null
		import sys, urllib.request
		urllib.request.urlopen("http://%s/" % sys.argv[1], timeout=2)
	EOF
}

alive() {
	[ -n "$1" ] && kill -0 "$1" 2>/dev/null
}

stop() {
	trap '' INT TERM
	alive "$streamerd_pid" && kill -TERM "$streamerd_pid"
	alive "$chatd_pid" && kill -TERM "$chatd_pid"
	wait
}

# A Ctrl-C reaches the daemons too, as members of the terminal's group: twice would cut the drain
# short, so they are started in groups of their own.
set -m
trap 'stop; exit 0' INT TERM

{ [ -n "$chatd_conf" ] && [ -n "$streamerd_conf" ]; } || write_demo_configs
chatd_conf=${chatd_conf:-$state/chatd.conf}
streamerd_conf=${streamerd_conf:-$state/streamerd.conf}
"$build/chatd/chatd" -c "$chatd_conf" </dev/null &
chatd_pid=$!
"$build/streamerd/streamerd" -c "$streamerd_conf" </dev/null &
streamerd_pid=$!

listen=$(address "$streamerd_conf")
for _ in $(seq 150); do
	{ alive "$chatd_pid" && alive "$streamerd_pid"; } || break
	[ -z "$listen" ] && break
	# alive: what answers might be somebody else, who was there first
	if answers "$listen" && alive "$streamerd_pid"; then
		echo "Open http://$listen/"
		break
	fi
	sleep 0.2
done

wait -n "$chatd_pid" "$streamerd_pid"
status=$?
echo "run: a daemon ended (status $status), stopping the other" >&2
stop
exit "$status"
