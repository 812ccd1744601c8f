# shellcheck shell=bash
# What the client checks share: a broker to talk to, comparing, counting. Sourced by compat/*/run.
#
# BOOTSTRAP=host:port runs the checks against a broker that is there already, Apache Kafka for one, which is how the
# checks themselves are checked. Without it a fresh ottla is started, with a folder of its own, and stopped at the end:
# OTTLA=path/to/ottla, or else one that is built here.
set -u
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
broker_pids=() kafka_pid=
passed=0 failed=0 skipped=0
# Topics get a name of their own in each run: a broker that is there already may be full of others.
# shellcheck disable=SC2034
run=$(date +%s)-$$

end() {
    local status=$? pid
    for pid in "${broker_pids[@]}"; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    # Nothing of it is kept, so nothing is waited for.
    [ -n "$kafka_pid" ] && kill -9 "$kafka_pid" 2>/dev/null && wait "$kafka_pid" 2>/dev/null
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

# start_broker [FLAG...]: starts ottla with one partition by default, or with these flags in place of that, as $bootstrap.
start_broker() {
    bootstrap=${BOOTSTRAP:-}
    [ -n "$bootstrap" ] && return
    local binary=${OTTLA:-} home=$work/ottla-${#broker_pids[@]} pid flags=(--partitions 1)
    [ $# -gt 0 ] && flags=("$@")
    [[ " ${flags[*]} " = *" --listen "* ]] || flags+=(--listen 127.0.0.1:0)
    if [ -z "$binary" ]; then
        (cd "$project" && cargo build --quiet --bin ottla) || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
        binary=${CARGO_TARGET_DIR:-$project/target}/debug/ottla
    fi
    mkdir "$home"
    "$binary" --data "$home/data" --ready-file "$home/ready" "${flags[@]}" >"$home/log" 2>&1 &
    pid=$!
    broker_pids+=("$pid")
    for _ in $(seq 200); do
        if [ -s "$home/ready" ]; then
            bootstrap=$(grep -oE '127\.0\.0\.1:[0-9]+' "$home/ready" | head -n 1)
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    cat "$home/log"
    echo "the broker did not start"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}

# crate_source NAME VERSION: the folder of a published crate's source, fetched by cargo where it is not there yet.
crate_source() {
    local fetch=$built/fetch-$1-$2
    mkdir -p "$fetch/src"
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n[workspace]\n' \
        "$1" "$2" >"$fetch/Cargo.toml"
    : >"$fetch/src/lib.rs"
    cargo metadata --quiet --format-version 1 --manifest-path "$fetch/Cargo.toml" |
        grep -oE "\"manifest_path\":\"[^\"]*/$1-${2//+/\\+}/Cargo.toml\"" | head -n 1 | sed -E 's/^"manifest_path":"(.*)\/Cargo.toml"$/\1/'
}

# A port of 127.0.0.1 that nobody listens on now.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# start_kafka JARS [KEY=VALUE...]: starts Apache Kafka from these jars, with what it needs to be one node, these keys and
# nothing else, as $kafka_bootstrap. One partition by default and no delays, as in a fresh ottla; without eligible leader replicas, for
# which Kafka keeps a min.insync.replicas of its own for the whole cluster.
start_kafka() {
    local jars=$1 port controller
    shift
    port=$(free_port)
    controller=$(free_port)
    kafka_bootstrap=127.0.0.1:$port
    mkdir "$work/kafka"
    cat >"$work/kafka/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://$kafka_bootstrap,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://$kafka_bootstrap
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$work/kafka/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
END
    printf '%s\n' "$@" >>"$work/kafka/server.properties"
    local java=(java -XX:TieredStopAtLevel=1 -Xmx512m -Dlog4j2.configurationFile="$project/compat/java/log4j2.yaml" -cp "$jars/*")
    "${java[@]}" kafka.tools.StorageTool format -t Oq9nXpZ8QZuqkYJXhW1d7A -c "$work/kafka/server.properties" \
        --feature eligible.leader.replicas.version=0 >"$work/kafka/log" 2>&1
    "${java[@]}" kafka.Kafka "$work/kafka/server.properties" >>"$work/kafka/log" 2>&1 &
    kafka_pid=$!
    for _ in $(seq 1800); do
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        kill -0 "$kafka_pid" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/kafka/log"
    echo "Apache Kafka did not start"
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

# run_program COMMAND...: runs a program that counts for itself, in a last line as ours, and adds its counts.
run_program() {
    local ok=0 bad=1
    "$@" 2>"$work/stderr" | tee "$work/found"
    read -r ok bad < <(tail -n 1 "$work/found" | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, .*/\1 \2/p') ||
        tail -n 20 "$work/stderr"
    passed=$((passed + ${ok:-0})) failed=$((failed + ${bad:-1}))
}

finish() {
    [ "$failed" -ne 0 ] && [ "${#broker_pids[@]}" -gt 0 ] && { echo "-- the broker's log:"; tail -n 40 "$work"/ottla-*/log; }
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}

# ratchet RESULTS [PATTERN]: judges a suite of somebody else by tests.allow, the tests that have passed and may never fail
# again, one a line (with ` ci` behind those that .ci/run runs). A line of RESULTS is `passed|failed|skipped TAB test TAB why`.
# Counts as failed what stands in tests.allow, matches PATTERN and did not pass; anything else that fails is known to be
# missing and counts as skipped.
ratchet() {
    local result name why
    while IFS=$'\t' read -r result name why; do
        if ! grep -qE "^$(sed 's/[][\.*^$+?(){}|/]/\\&/g' <<<"$name")( ci)?$" "$here/tests.allow"; then
            skipped=$((skipped + 1))
            case $result in
                passed) echo "NEW      $name: passes and is not in tests.allow" ;;
                failed) echo "missing  $name: $why" ;;
                *) echo "skipped  $name: $why" ;;
            esac
        elif [ "$result" = passed ]; then
            passed=$((passed + 1))
            echo "ok       $name"
        else
            failed=$((failed + 1))
            echo "FAILED   $name: $why"
        fi
    done < <(sort -t$'\t' -k2 "$1")
    while read -r name; do
        failed=$((failed + 1))
        echo "FAILED   $name: has not been run"
    done < <(grep -E -- "${2:-}" "$here/tests.allow" | sed 's/ ci$//' | sort | comm -23 - <(cut -f 2 "$1" | sort))
}
