#!/usr/bin/env bash
# How fast pages are: each path of a file, at a running site, in turn.
#
#   benches/pages.sh BASE_URL FILE
#
# FILE has a line `name=/path?query` for each page; lines that begin with # and empty ones count nothing. CONNECTIONS
# ("1 16"), ROUNDS (3) and SECONDS_EACH (4) change the load, COOKIE is sent with every request; `{n}` in a path is another
# number up to TORRENTS in each request. Medians of the rounds; a page that answers anything but 200 fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/common.sh

[ $# = 2 ] && [ -r "$2" ] || { echo "usage: benches/pages.sh BASE_URL FILE" >&2; exit 2; }
base=${1%/} connections=${CONNECTIONS:-1 16} rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-4}
needed wrk curl

column() { awk -v n="$2" '{ print $n }' <<<"$1" | median; }

echo "$base, $(nproc) processors, medians of $rounds rounds of $seconds s; load $(cut -d' ' -f1-3 /proc/loadavg)"
printf '%-28s %11s %10s %10s %10s %8s\n' page connections requests/s "p50 ms" "p99 ms" failed
verdict=0
while IFS= read -r line || [ -n "$line" ]; do
    case "$line" in "" | "#"*) continue ;; esac
    name=${line%%=*} path=${line#*=}
    status=$(curl -s -o /dev/null -w '%{http_code}' -H "Cookie: ${COOKIE:-}" "$base${path//\{n\}/1}")
    if [ "$status" != 200 ]; then
        echo "$name: $path answers $status" >&2
        verdict=1
        continue
    fi
    for at_once in $connections; do
        results=
        for _ in $(seq "$rounds"); do
            results+=$(wrk -t1 "-c$at_once" "-d${seconds}s" --timeout 10s -H "Cookie: ${COOKIE:-}" -s benches/pages.lua \
                "$base$path" | grep '^RESULT')$'\n'
        done
        results=${results%$'\n'}
        failed=$(awk '{ n += $5 } END { print n }' <<<"$results")
        printf '%-28s %11s %10.0f %10.2f %10.2f %8s\n' "$name" "$at_once" \
            "$(column "$results" 2)" "$(column "$results" 3)" "$(column "$results" 4)" "$failed"
        [ "$failed" = 0 ] || verdict=1
    done
done <"$2"
exit "$verdict"
