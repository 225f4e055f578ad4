#!/usr/bin/env bash
# Announces a second: the embedded tracker against Torrust Tracker 3.0.0, in turn, on this machine, in one run.
#
#   benches/announces.sh              builds Seedbank, measures, prints the ratio, PASS or FAIL against 3
#   benches/announces.sh --no-build   measures the binary that is there
#
# TORRENTS, MEMBERS, BUSIEST (peers of the busiest), ROUNDS, SECONDS_EACH and CONNECTIONS change the size; MOVED and
# MOVED_MUCH the share of announces, of a hundred, at which a seeder has moved bytes; TORRUST names the other binary,
# which must be a build with the optimisations of its own release profile. README.md here says what is measured.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/common.sh

torrents=${TORRENTS:-100000} members=${MEMBERS:-64} rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-6}
connections=${CONNECTIONS:-32} busiest=${BUSIEST:-4000} wanted=3
usual=${MOVED:-10} much=${MOVED_MUCH:-38}
target=${CARGO_TARGET_DIR:-target}
seedbank=$target/dist/seedbank
data=$target/announces/$torrents-$members

case "${1:-}" in
    "") build=1 ;;
    --no-build) build= ;;
    *) echo "usage: benches/announces.sh [--no-build]" >&2; exit 2 ;;
esac
needed wrk sqlite3 curl taskset

pids=() run=
clean_up() {
    for pid in "${pids[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    [ -z "$run" ] || rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# The generator has a processor of its own, and the trackers share the other ones, so that neither takes the other's.
if [ "$(nproc)" -gt 1 ]; then
    generators=(taskset -c 0) trackers=(taskset -c "1-$(($(nproc) - 1))")
else
    generators=() trackers=()
fi

# ---- Both programs

if [ -n "$build" ]; then
    cargo build --profile dist --bin seedbank
fi
[ -x "$seedbank" ] || { echo "$seedbank is not there: run without --no-build" >&2; exit 1; }

# The test suite's own build is made quickly, not to run quickly, and does not count here.
optimised=${XDG_CACHE_HOME:-$HOME/.cache}/seedbank/torrust-tracker-3.0.0-optimised
torrust=${TORRUST:-}
for found in "$HOME/.cargo/bin/torrust-tracker" "$optimised/bin/torrust-tracker"; do
    [ -n "$torrust" ] || [ ! -x "$found" ] || torrust=$found
done
if [ -z "$torrust" ]; then
    echo "Installing torrust-tracker with its own release profile (a quarter of an hour on two cores)"
    cargo install torrust-tracker --version 3.0.0 --locked --bin torrust-tracker --root "$optimised"
    torrust=$optimised/bin/torrust-tracker
fi

# ---- The same torrents and keys for both

catalogue "$data" "$torrents" "$members"
run=$(mktemp -d "$target/announces/run.XXXXXX")
run=$(realpath "$run")
cp -r "$data/seedbank" "$run/seedbank"
sqlite3 "$run/seedbank/seedbank.db" "select lower(hex($on_the_wire)) from torrents" >"$run/hex"
sed 's/../%&/g' "$run/hex" >"$run/hashes"
sqlite3 "$run/seedbank/seedbank.db" "select passkey from users" >"$run/keys"
[ "$(wc -l <"$run/hashes")" = "$torrents" ] && [ "$(wc -l <"$run/keys")" = "$members" ]

embedded_port=$(free_port) torrust_port=$(free_port) api_port=$(free_port) health_port=$(free_port)

SEEDBANK__SERVER__DATA_DIR=$run/seedbank SEEDBANK__SERVER__LISTEN=127.0.0.1:$embedded_port SEEDBANK__LOG__FILTER=warn \
    "${trackers[@]}" "$seedbank" serve >"$run/seedbank.log" 2>&1 &
embedded_pid=$!
pids+=("$embedded_pid")
wait_for "http://127.0.0.1:$embedded_port/login" "$run/seedbank.log"

cat >"$run/tracker.toml" <<TOML
[metadata]
app = "torrust-tracker"
purpose = "configuration"
schema_version = "2.0.0"
[logging]
threshold = "error"
[core]
listed = true
private = true
[core.database]
driver = "sqlite3"
path = "$run/tracker.db"
[core.net]
external_ip = "127.0.0.1"
[[http_trackers]]
bind_address = "127.0.0.1:$torrust_port"
[http_api]
bind_address = "127.0.0.1:$api_port"
[http_api.access_tokens]
measuring = "measuring"
[health_check_api]
bind_address = "127.0.0.1:$health_port"
TOML
# The tables it makes for itself, filled before it starts.
sqlite3 "$run/tracker.db" >/dev/null <<SQL
create table whitelist (id integer primary key autoincrement, info_hash text not null unique);
create table keys (id integer primary key autoincrement, key text not null unique, valid_until integer);
create table torrents (id integer primary key autoincrement, info_hash text not null unique, completed integer default 0 not null);
attach '$run/seedbank/seedbank.db' as site;
insert into whitelist (info_hash) select lower(hex($on_the_wire)) from site.torrents;
insert into keys (key) select passkey from site.users;
SQL
TORRUST_TRACKER_CONFIG_TOML_PATH=$run/tracker.toml "${trackers[@]}" "$torrust" >"$run/torrust.log" 2>&1 &
torrust_pid=$!
pids+=("$torrust_pid")
wait_for "http://127.0.0.1:$torrust_port/health_check" "$run/torrust.log"

# ---- In turn

rss_mb() { awk '/^VmRSS:/ { printf "%.0f", $2 / 1024 }' "/proc/$1/status"; }
# Ticks of the processor, of a process.
cpu_s() { awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f", ($14 + $15) / hz }' "/proc/$1/stat"; }

# Until the process rests: what it still writes is part of its work, and none of the other's.
settle() {
    local before after try
    after=$(cpu_s "$1")
    for try in $(seq 120); do
        before=$after
        sleep 1.5
        after=$(cpu_s "$1")
        awk "BEGIN { exit !($after - $before < 0.06) }" && return
    done
    echo "process $1 does not come to rest" >&2
    exit 1
}

# load NAME SEED PORT SECONDS: what wrk's script says of it.
load() {
    SEED=$2 HASHES=$run/hashes KEYS=$run/keys BUSIEST=$busiest MOVED=$moved STATE=$run/state-$1 \
        "${generators[@]}" wrk -t1 -c"$connections" -d"$4s" --timeout 10s \
        -s benches/announces.lua "http://127.0.0.1:$3" | grep '^RESULT'
}

# one NAME PORT PID SECONDS SEED: a round; its line is shown, and goes to $run/NAME.
one() {
    local begun line requests took p50 p99 failed why used rate
    begun=$(cpu_s "$3")
    line=$(load "$1" "$5" "$2" "$4")
    settle "$3"
    read -r _ requests took p50 p99 failed why <<<"$line"
    if [ "$failed" != 0 ]; then
        echo "$1: $failed announces failed, the first with: $why" >&2
        exit 1
    fi
    used=$(awk "BEGIN { print ($(cpu_s "$3") - $begun) * 1e6 / $requests }")
    rate=$(awk "BEGIN { print $requests / $took }")
    shown "$1" "$rate" "$p50" "$p99" "$used"
    echo "$rate $p50 $p99 $used $requests" >>"$run/$1"
}

# shown NAME RATE P50 P99 MICROSECONDS
shown() {
    printf '%-10s %8.0f announces/s   p50 %7.2f ms   p99 %8.2f ms   %5.0f us of processor each\n' "$@"
}

# both SECONDS SEED
both() {
    one embedded "$embedded_port" "$embedded_pid" "$1" "$2"
    one torrust "$torrust_port" "$torrust_pid" "$1" "$2"
}

echo "$torrents torrents, the busiest with $busiest peers, $members members, $connections connections"
echo "$(nproc) processors, load $(cut -d' ' -f1-3 /proc/loadavg); $("$seedbank" --version); $torrust"
# Every peer once. The last few may come twice.
peers=$(awk "BEGIN { for (r = 1; r <= $torrents; r++) { n = int($busiest / r ^ 0.8); sum += n < 1 ? 1 : n } print sum }")
echo "$peers peers announce for the first time:"
moved=0
for name in embedded torrust; do
    done=0
    : >"$run/$name"
    while [ "$done" -lt "$peers" ]; do
        if [ $name = embedded ]; then
            LOOK=1 FILL=$done one $name "$embedded_port" "$embedded_pid" 5 1
        else
            LOOK=1 FILL=$done one $name "$torrust_port" "$torrust_pid" 5 1
        fi
        done=$(awk '{ n += $5 } END { print n }' "$run/$name")
    done
done

middle() { cut -d' ' -f"$2" "$run/$1" | median; }

# measure FIRST_SEED: the rounds of one load, and the median of their ratios, in $ratio.
measure() {
    local round
    echo "seeders have moved bytes at $moved announces of 100; $rounds rounds of $seconds s each:"
    rm "$run/embedded" "$run/torrust"
    for round in $(seq "$rounds"); do
        both "$seconds" "$(($1 + round))"
    done
    echo "medians:"
    for name in embedded torrust; do
        shown "$name" "$(middle $name 1)" "$(middle $name 2)" "$(middle $name 3)" "$(middle $name 4)"
    done
    # Of each round, for a machine may be slower in one than in the next.
    ratio=$(paste -d' ' "$run/embedded" "$run/torrust" | awk '{ printf "%.2f\n", $1 / $6 }' | median)
}

moved=$much
measure 100
ratio_much=$ratio
moved=$usual
measure 200

echo "and once more, with a look into every answer:"
LOOK=1 both "$seconds" 300

# ---- What came of it

echo "resident: embedded $(rss_mb "$embedded_pid") MB, torrust $(rss_mb "$torrust_pid") MB; load $(cut -d' ' -f1-3 /proc/loadavg)"
verdict=$(awk "BEGIN { print ($ratio >= $wanted) ? \"PASS\" : \"FAIL\" }")
echo "$ratio_much times as many announces a second where seeders move bytes at $much of 100"
echo "$ratio times as many announces a second where they do at $usual: $verdict (at least $wanted)"
[ "$verdict" = PASS ]
