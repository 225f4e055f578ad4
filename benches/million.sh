#!/usr/bin/env bash
# A catalogue of a million beside one of ten thousand: building the index, every kind of page, memory, the listing
# against the same page from memory, how soon an upload is found, and how fast many are imported.
#
#   benches/million.sh                             on SQLite
#   benches/million.sh postgres://user@host:port   on databases seedbank_SIZE there, which are made by psql
#
# SIZES ("10000 1000000"), PAGES (million.pages), IMPORTED (20000; 0: none), NO_BUILD, PROFILE (dist) and what
# benches/pages.sh takes change it. Catalogues are kept in target/million. README.md says more.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/common.sh

sizes=${SIZES:-10000 1000000} pages=${PAGES:-benches/million.pages} imported=${IMPORTED:-20000} profile=${PROFILE:-dist}
postgres=${1:-} target=${CARGO_TARGET_DIR:-target}
work=$(realpath -m "$target/million")
needed wrk curl sqlite3
[ -z "$postgres" ] || needed psql

site_pid= sampler_pid=
clean_up() {
    [ -z "$sampler_pid" ] || kill "$sampler_pid" 2>/dev/null || true
    [ -z "$site_pid" ] || kill -TERM "$site_pid" 2>/dev/null || true
    wait
}
trap clean_up EXIT
trap 'exit 130' INT TERM

bench() { # bench NAME: the path of a built benchmark
    cargo bench --quiet --no-run --profile "$profile" --bench "$1" --message-format json 2>/dev/null |
        grep -o "\"executable\":\"[^\"]*/$1-[^\"]*\"" | tail -1 | cut -d'"' -f4
}
mkdir -p "$work"
if [ -z "${NO_BUILD:-}" ]; then
    cargo build --profile "$profile" --bin seedbank
    cp "$target/${profile/dev/debug}/seedbank" "$work/seedbank"
    cp "$(bench catalogue)" "$work/catalogue"
    cp "$(bench listing)" "$work/listing"
fi
seedbank=$work/seedbank

sql() { # sql STATEMENT
    if [ -n "$postgres" ]; then psql -qAt "$postgres/seedbank_$size" -c "$1"; else sqlite3 "$data/seedbank.db" "$1"; fi
}

# The catalogue of $size, made once.
make_catalogue() {
    [ ! -e "$data/complete" ] || return 0
    rm -rf "$data"
    mkdir -p "$data"
    if [ -n "$postgres" ]; then
        psql -q "$postgres/postgres" -c "drop database if exists seedbank_$size" -c "create database seedbank_$size"
        "$work/catalogue" "$postgres/seedbank_$size" "$size" 200
    else
        "$work/catalogue" "$data" "$size" 200
    fi
    touch "$data/complete"
}

start_site() {
    : >"$data/log"
    "$seedbank" >>"$data/log" 2>&1 &
    site_pid=$!
    wait_for "$base/health/live" "$data/log"
}

stop_site() {
    kill -TERM "$site_pid"
    wait "$site_pid"
    site_pid=
}

anonymous_mb() { awk '/^RssAnon/ { print int($2 / 1024) }' "/proc/$1/status"; }

# Prints how long it took and the memory at its end, and waits until the segments are one.
build_index() {
    rm -rf "$data/search"
    start_site
    sample_memory "$site_pid" &
    sampler_pid=$!
    local begun=$EPOCHREALTIME
    until grep -q 'search index: complete\|every torrent can be found' "$data/log" || indexed; do sleep 0.2; done
    awk -v a="$begun" -v b="$EPOCHREALTIME" -v mb="$(anonymous_mb "$site_pid")" -v n="$size" -v load="$(cut -d' ' -f1 /proc/loadavg)" \
        'BEGIN { printf "index of %d built while serving: %.1f s, anonymous memory then %d MB, load %s\n", n, b - a, mb, load }'
    # Small ones stay as they are.
    if [ "$size" -ge 20000 ]; then
        begun=$EPOCHREALTIME
        until grep -q 'search index: one segment' "$data/log"; do sleep 0.2; done
        awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "one segment, made in the background: %.1f s later\n", b - a }'
    fi
    end_sampling
    echo "anonymous memory until then: at most $(cat "$data/peak") MB"
}

end_sampling() {
    kill "$sampler_pid" && wait "$sampler_pid" 2>/dev/null || true
    sampler_pid=
}

# Small indexes are there before anybody says so.
indexed() { [ "$(curl -fs "$metrics/metrics" | awk '$1 == "seedbank_search_documents" { print int($2) }')" = "$size" ]; }

# A member's session in $data/cookies.
log_in() {
    local token
    rm -f "$data/cookies"
    [ -e "$data/password" ] || "$seedbank" admin create measurer </dev/null 2>&1 | sed -n 's/.*shown this once: //p' >"$data/password"
    token=$(curl -fs -c "$data/cookies" "$base/login" | sed -n 's/.*name="csrf" value="\([^"]*\)".*/\1/p' | head -1)
    curl -fs -o /dev/null -b "$data/cookies" -c "$data/cookies" "$base/login" \
        --data-urlencode "csrf=$token" --data-urlencode name=measurer --data-urlencode "password=$(cat "$data/password")"
    cookie=$(awk '$6 ~ /seedbank/ || NF == 7 { sub(/^#HttpOnly_/, ""); printf "%s%s=%s", (n++ ? "; " : ""), $6, $7 }' "$data/cookies")
}

# Keeps the highest anonymous memory in $data/peak.
sample_memory() {
    local highest=0 now
    while now=$(anonymous_mb "$1" 2>/dev/null) && [ -n "$now" ]; do
        [ "$now" -le "$highest" ] || { highest=$now; echo "$highest" >"$data/peak"; }
        sleep 0.5
    done
}

measure_pages() {
    sample_memory "$site_pid" &
    sampler_pid=$!
    COOKIE=$cookie TORRENTS=$size benches/pages.sh "$base" "$pages" || verdict=1
    end_sampling
    echo "anonymous memory under that load: at most $(cat "$data/peak") MB"
}

# Uploads through the form; says how long the answer took and when the torrent was found.
measure_uploads() {
    local token n found begun took times= waits= word
    for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
        token=$(curl -fs -b "$data/cookies" "$base/upload" | sed -n 's/.*name="csrf" value="\([^"]*\)".*/\1/p' | head -1)
        word=upload${RANDOM}x${RANDOM}q$n
        head -c 300000 /dev/urandom >"$data/$word"
        "$seedbank" create "$data/$word" --output "$data/$word.torrent" >/dev/null 2>&1
        took=$(curl -s -o "$data/answer" -w '%{http_code} %{time_total}' -b "$data/cookies" "$base/upload" -F "csrf=$token" -F "title=$word" \
            -F category=other -F tags= -F description= -F "files=@$data/$word.torrent;type=application/x-bittorrent")
        rm -f "$data/$word" "$data/$word.torrent"
        begun=$EPOCHREALTIME
        case "$took" in 303*) ;; *) echo "an upload answers $took" >&2; verdict=1; return 0 ;; esac
        times+="${took#* }"$'\n'
        until found=$(curl -fs -b "$data/cookies" "$base/torrents?q=$word") && grep -q "1 torrent<" <<<"$found"; do
            sleep 0.02
        done
        waits+=$(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')$'\n'
    done
    awk -v t="$(median <<<"${times%$'\n'}")" -v w="$(sort -n <<<"${waits%$'\n'}" | tail -1)" \
        'BEGIN { printf "an upload into it: %.1f ms at the median of 12; found after %.2f s at the longest\n", t * 1000, w }'
}

# The listing, and the same page from memory, in turn.
measure_memory() {
    local port listing memory pair pairs=
    port=$(free_port)
    "$work/listing" "127.0.0.1:$port" >>"$data/log" 2>&1 &
    site_pid=$!
    wait_for "http://127.0.0.1:$port/memory" "$data/log"
    sleep 5
    rate() { wrk -t1 -c16 -d4s -H "Cookie: $1" -s benches/pages.lua "http://127.0.0.1:$port$2" | awk '/^RESULT/ { print $2 }'; }
    for who in "" "$cookie"; do
        pairs=
        for _ in 1 2 3 4 5; do
            listing=$(rate "$who" /torrents) memory=$(rate "$who" /memory)
            pairs+="$(awk -v a="$listing" -v b="$memory" 'BEGIN { print a / b }') $listing $memory"$'\n'
        done
        pair=$(sort -n <<<"${pairs%$'\n'}" | sed -n 3p)
        echo "listing for a ${who:+member}${who:-guest} against the same page from memory (ratio, requests/s of both): $pair" | sed "s/ for a member.* against/ for a member against/"
    done
    stop_site
}

measure_import() {
    local made=$data/imported
    rm -rf "$made" "$data/site"
    mkdir -p "$data/site"
    "$work/catalogue" --files "$made" "$imported" >/dev/null 2>&1
    (
        export SEEDBANK__SERVER__DATA_DIR=$data/site SEEDBANK__DATABASE__URL=
        "$seedbank" admin create importer </dev/null >/dev/null 2>&1
        local begun=$EPOCHREALTIME
        "$seedbank" import "$made" --as importer --category other --report "$data/refused" >"$data/import.log" 2>&1
        awk -v a="$begun" -v b="$EPOCHREALTIME" -v n="$imported" 'BEGIN { printf "import of %d files: %.0f torrents/s\n", n, n / (b - a) }'
        tail -1 "$data/import.log"
    )
    rm -rf "$made" "$data/site"
}

verdict=0
export SEEDBANK__TORRENTS__DOWNLOADS_PER_HOUR=1000000000
for size in $sizes; do
    data=$work/${postgres:+postgres-}$size
    site_port=$(free_port) metrics_port=$(free_port)
    base=http://127.0.0.1:$site_port metrics=http://127.0.0.1:$metrics_port
    export SEEDBANK__SERVER__DATA_DIR=$data SEEDBANK__SERVER__LISTEN=127.0.0.1:$site_port \
        SEEDBANK__SERVER__METRICS_LISTEN=127.0.0.1:$metrics_port
    [ -z "$postgres" ] || export SEEDBANK__DATABASE__URL=$postgres/seedbank_$size
    echo "== $size torrents, ${postgres:+Postgres}$([ -n "$postgres" ] || echo SQLite)"
    make_catalogue
    sql "update settings set who_may_look = 'everyone', who_may_download = 'everyone'"
    build_index
    log_in
    # What it has just built is written down, and what it took is given back.
    sleep "${REST:-10}"
    measure_pages
    measure_uploads
    stop_site
    measure_memory
done
if [ "$imported" != 0 ] && [ -z "$postgres" ]; then
    measure_import
fi
exit "$verdict"
