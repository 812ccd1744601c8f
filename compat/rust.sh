# shellcheck shell=bash
# What the suites of Rust crates share. Sourced by compat/rskafka/run and compat/rust-rdkafka/run, after lib.sh.

# suite_of CRATE VERSION: copies the crate's source, from where it can be tested, to $suite.
suite_of() {
    local source
    built=${CARGO_TARGET_DIR:-$project/target}/compat-$1
    suite=$built/source
    [ -e "$suite/complete" ] && return
    source=$(crate_source "$1" "$2")
    [ -n "$source" ] || return
    rm -rf "$suite" && cp -r "$source" "$suite" && chmod -R u+w "$suite" || return
    # This project's toolchain, versions of dependencies and target folder: what two of them use is built once.
    printf '\n[workspace]\n' >>"$suite/Cargo.toml"
    cp "$project/Cargo.lock" "$suite/Cargo.lock" && rm -f "$suite/rust-toolchain.toml" || return
    touch "$suite/complete"
}

# run_suite MINUTES FLAG...: runs the crate's integration tests with cargo's flags and judges them.
run_suite() {
    local minutes=$1
    shift
    (cd "$suite" && CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$project/target} CARGO_TERM_COLOR=never \
        timeout --kill-after=5 "${minutes}m" cargo test --no-fail-fast --test '*' "$@") >"$work/output" 2>&1
    awk -F "\t" '
        /^     Running / { file = $0; sub(/^ *Running tests\//, "", file); sub(/\.rs.*/, "", file) }
        /^test .* \.\.\. / {
            name = $0; sub(/^test /, "", name); sub(/ - should panic/, "", name); sub(/ \.\.\. .*/, "", name)
            result = $0; sub(/.* \.\.\. /, "", result); sub(/,.*/, "", result)
            print (result == "ok" ? "passed" : result == "FAILED" ? "failed" : "skipped") "\t" file "::" name "\t" result
        }' "$work/output" >"$work/results"
    ratchet "$work/results"
    if [ "$failed" -ne 0 ] || [ ! -s "$work/results" ]; then
        grep -v '^test .* ok$' "$work/output" | tail -n 100
    fi
}
