# shellcheck shell=bash
# What the client checks share: a broker to talk to, comparing, counting. Sourced by compat/*/run.
#
# BOOTSTRAP=host:port runs the checks against a broker that is there already, Apache Kafka for one, which is how the
# checks themselves are checked. Without it a fresh ottla is started, with a folder of its own, and stopped at the end:
# OTTLA=path/to/ottla, or else one that is built here.
set -u
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
broker_pid=
passed=0 failed=0 skipped=0
# Topics get a name of their own in each run: a broker that is there already may be full of others.
# shellcheck disable=SC2034
run=$(date +%s)-$$

end() {
    local status=$?
    [ -n "$broker_pid" ] && kill "$broker_pid" 2>/dev/null && wait "$broker_pid" 2>/dev/null
    [ "$failed" -ne 0 ] && [ -s "$work/ottla.log" ] && { echo "-- the broker's log:"; tail -n 40 "$work/ottla.log"; }
    rm -rf "$work"
    exit "$status"
}
trap end EXIT

# Leaves with the reason as one skipped check.
skip_all() {
    echo "skipped: $*"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}

start_broker() {
    bootstrap=${BOOTSTRAP:-}
    [ -n "$bootstrap" ] && return
    local binary=${OTTLA:-}
    if [ -z "$binary" ]; then
        (cd "$project" && cargo build --quiet --bin ottla) || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
        binary=${CARGO_TARGET_DIR:-$project/target}/debug/ottla
    fi
    "$binary" --listen 127.0.0.1:0 --data "$work/data" --partitions 1 --ready-file "$work/ready" >"$work/ottla.log" 2>&1 &
    broker_pid=$!
    for _ in $(seq 200); do
        if [ -s "$work/ready" ]; then
            bootstrap=$(grep -oE '127\.0\.0\.1:[0-9]+' "$work/ready" | head -n 1)
            return
        fi
        kill -0 "$broker_pid" 2>/dev/null || break
        sleep 0.05
    done
    cat "$work/ottla.log"
    echo "the broker did not start"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}

pass() {
    passed=$((passed + 1))
    echo "ok      $1"
}

fail() {
    failed=$((failed + 1))
    printf 'FAILED  %s\n  expected: %s\n  found:    %s\n' "$1" "${2:0:2000}" "${3:0:2000}"
}

# same NAME EXPECTED FOUND
same() {
    if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "$2" "$3"; fi
}

# like NAME REGEX FOUND: some line of FOUND matches
like() {
    if grep -qE -- "$2" <<<"$3"; then pass "$1"; else fail "$1" "a line like $2" "$3"; fi
}

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}
