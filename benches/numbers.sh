#!/usr/bin/env bash
# The companion's numbers: how long a catalogue of 100,000 takes to be refreshed from a real Torrust Tracker on SQLite,
# and what pages feel of it, against the same pages while nothing is refreshed, in one run.
#
#   benches/numbers.sh              builds Seedbank, measures, prints PASS or FAIL against 30 s and 1.2 times
#   benches/numbers.sh --no-build   measures the binary that is there
#
# TORRENTS, READERS, PAUSE (ms) and TORRUST, the other binary, change what is measured. README.md says more.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/common.sh

torrents=${TORRENTS:-100000} readers=${READERS:-8} pause=${PAUSE:-40} rounds=${ROUNDS:-3}
target=${CARGO_TARGET_DIR:-target}
seedbank=$target/dist/seedbank
data=$target/numbers/$torrents

case "${1:-}" in
    "") build=1 ;;
    --no-build) build= ;;
    *) echo "usage: benches/numbers.sh [--no-build]" >&2; exit 2 ;;
esac
needed wrk sqlite3 curl
torrust=${TORRUST:-}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/seedbank
for found in "$HOME/.cargo/bin/torrust-tracker" "$cache/torrust-tracker-3.0.0-optimised/bin/torrust-tracker" \
    "$cache/torrust-tracker-3.0.0/bin/torrust-tracker"; do
    [ -n "$torrust" ] || [ ! -x "$found" ] || torrust=$found
done
[ -n "$torrust" ] || { echo "torrust-tracker is not installed: scripts/test does it" >&2; exit 1; }

site_pid= tracker_pid= run=
clean_up() {
    [ -z "$site_pid" ] || kill -TERM "$site_pid" 2>/dev/null || true
    [ -z "$tracker_pid" ] || kill -INT "$tracker_pid" 2>/dev/null || true
    [ -z "$site_pid$tracker_pid" ] || wait
    [ -z "$run" ] || rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

if [ -n "$build" ]; then
    cargo build --profile dist --bin seedbank
fi
[ -x "$seedbank" ] || { echo "$seedbank is not there: run without --no-build" >&2; exit 1; }
catalogue "$data" "$torrents" 4
run=$(mktemp -d "$target/numbers/run.XXXXXX")
run=$(realpath "$run")
cp -r "$data/seedbank" "$run/seedbank"
database=$run/seedbank/seedbank.db
# The catalogue comes with numbers; here they are the companion's.
sqlite3 "$database" "update settings set who_may_look = 'everyone'; delete from swarms"
sqlite3 "$database" "select lower(hex($on_the_wire)) from torrents order by id" | sed 's/../%&/g' >"$run/hashes"
sqlite3 "$database" "select id from torrents" | shuf -n 2000 --random-source="$run/hashes" >"$run/ids"

site_port=$(free_port) tracker_port=$(free_port) api_port=$(free_port) health_port=$(free_port)

# An open tracker: nothing is to be told, so what is measured is the numbers alone.
cat >"$run/tracker.toml" <<TOML
[metadata]
app = "torrust-tracker"
purpose = "configuration"
schema_version = "2.0.0"
[logging]
threshold = "error"
[core]
listed = false
private = false
[core.database]
driver = "sqlite3"
path = "$run/tracker.db"
[core.net]
external_ip = "127.0.0.1"
[core.tracker_policy]
max_peer_timeout = 3600
[[http_trackers]]
bind_address = "127.0.0.1:$tracker_port"
[http_api]
bind_address = "127.0.0.1:$api_port"
[http_api.access_tokens]
measuring = "measuring"
[health_check_api]
bind_address = "127.0.0.1:$health_port"
TOML
TORRUST_TRACKER_CONFIG_TOML_PATH=$run/tracker.toml "$torrust" >"$run/tracker.log" 2>&1 &
tracker_pid=$!
wait_for "http://127.0.0.1:$tracker_port/health_check" "$run/tracker.log"

: >"$run/site.log"
# announce FROM COUNT PEER: torrents FROM.. each get a peer of this name. wrk ends by time, so it goes in steps.
swarms() { curl -fs "http://127.0.0.1:$api_port/api/v1/stats?token=measuring" | sed 's/.*"seeders":\([0-9]*\).*/\1/'; }
announce() {
    local from=$1 until=$(($(swarms) + $2)) count line
    while [ "$(swarms)" -lt "$until" ]; do
        line=$(FILL=$from HASHES=$run/hashes SEEDING=$3 wrk -t1 -c16 -d2s -s benches/numbers.lua \
            "http://127.0.0.1:$tracker_port" | grep ^RESULT)
        read -r _ count _ _ failed <<<"$line"
        [ "$failed" = 0 ] || { echo "$failed announces failed" >&2; exit 1; }
        # Those still on their way at the end are announced again.
        from=$((from + count - 16))
    done
}

start_site() {
    SEEDBANK__SERVER__DATA_DIR=$run/seedbank SEEDBANK__SERVER__LISTEN=127.0.0.1:$site_port \
        SEEDBANK__TRACKER__KIND=torrust SEEDBANK__TRACKER__LISTED=false SEEDBANK__TRACKER__PRIVATE=false \
        SEEDBANK__TRACKER__API_URL=http://127.0.0.1:$api_port SEEDBANK__TRACKER__API_TOKEN=measuring \
        SEEDBANK__TRACKER__ANNOUNCE_URLS=http://127.0.0.1:$tracker_port/announce \
        SEEDBANK__TRACKER__NUMBERS_EVERY_S=3600 \
        SEEDBANK__LOG__FILTER=warn,seedbank::tracker::torrust=debug NO_COLOR=1 \
        "$seedbank" serve >>"$run/site.log" 2>&1 &
    site_pid=$!
    wait_for "http://127.0.0.1:$site_port/login" "$run/site.log"
}
stop_site() {
    kill -TERM "$site_pid"
    wait "$site_pid" || true
    site_pid=
}
refreshes() { grep -c "numbers fetched" "$run/site.log" || true; }
# SECONDS: p50 and p99 of pages in ms.
read_pages() {
    local line
    line=$(IDS=$run/ids PAUSE=$pause wrk -t1 "-c$readers" "-d${1}s" --timeout 10s -s benches/numbers.lua \
        "http://127.0.0.1:$site_port" | grep ^RESULT)
    read -r _ requests p50 p99 failed <<<"$line"
    [ "$failed" = 0 ] || { echo "$failed pages failed" >&2; exit 1; }
    echo "$p50 $p99 $requests"
}

printf 'Filling the tracker with %s swarms\n' "$torrents"
announce 0 "$torrents" 000000000001

# refresh NAME: starts the site, whose first work is a refresh, and reads pages while it goes on; then the same
# pages for as long while nothing is refreshed.
verdict=PASS
refresh() {
    local before begun took during quiet fetched
    before=$(refreshes)
    start_site
    begun=$(date +%s%N)
    : >"$run/during"
    while [ "$(refreshes)" = "$before" ]; do
        read_pages 2 >>"$run/during"
    done
    fetched=$(grep "numbers fetched" "$run/site.log" | tail -1)
    took=$(sed 's/.*took_ms=\([0-9]*\).*/\1/' <<<"$fetched")
    : >"$run/quiet"
    local n
    for n in $(seq "$(wc -l <"$run/during")"); do
        read_pages 2 >>"$run/quiet"
    done
    worst() { sort -k2n "$1" | awk '{ v[NR] = $2 } END { print v[int((NR + 1) / 2)] }'; }
    during=$(worst "$run/during") quiet=$(worst "$run/quiet")
    awk -v name="$1" -v took="$took" -v during="$during" -v quiet="$quiet" \
        -v written="$(sed 's/.*written=\([0-9]*\).*/\1/' <<<"$fetched")" 'BEGIN {
        printf "%-28s %7d rows %6.1f s   pages p99 %6.1f ms, quiet %6.1f ms, %.2f times\n", name, written, took / 1000, during, quiet, during / quiet
        exit !(took < 30000)
    }' || verdict=FAIL
    awk "BEGIN { print $during / $quiet }" >>"$run/ratios"
    stop_site
}

refresh "the first fetch"
for n in $(seq "$rounds"); do
    announce $((n * torrents / 10)) $((torrents / 10)) "$(printf '%012d' $((n + 1)))"
    refresh "a tenth changed"
done
ratio=$(median <"$run/ratios")
awk "BEGIN { exit !($ratio <= 1.2) }" || verdict=FAIL
printf 'load average %s; pages at the median of the rounds %s times\n%s: each under 30 s, pages within 1.2 times\n' \
    "$(cut -d' ' -f1-3 /proc/loadavg)" "$ratio" "$verdict"
[ "$verdict" = PASS ]
