# What the measurements here share; sourced by them.

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# wait_for URL LOG
wait_for() {
    local try
    for try in $(seq 600); do
        curl -fs -o /dev/null "$1" && return
        sleep 0.1
    done
    echo "$1 does not answer:" >&2
    tail -20 "$2" >&2
    exit 1
}

# needed PROGRAM..
needed() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 1; }
    done
}

# How clients name a torrent: by its v1 hash, or by what fits of its v2 hash.
on_the_wire="substr(coalesce(infohash_v1, infohash_v2), 1, 20)"

# catalogue DIRECTORY TORRENTS MEMBERS: makes DIRECTORY/seedbank once.
catalogue() {
    [ ! -e "$1/complete" ] || return 0
    rm -rf "$1"
    mkdir -p "$1"
    cargo bench --profile dev --bench catalogue -- "$(realpath "$1")/seedbank" "$2" "$3"
    touch "$1/complete"
}

# Of the numbers on its input, one a line.
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
