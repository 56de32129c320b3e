#!/usr/bin/env bash
# Runs every fuzz target, one after the other: fuzz/all.sh [SECONDS] [TARGET…]
set -u
cd "$(dirname "$0")/.."
seconds=${1:-600}
shift $(($# > 0))
[ $# -gt 0 ] || set -- $(cargo fuzz list)
failed=
for target; do
    mkdir -p "fuzz/corpus-run/$target"
    if cargo fuzz run -s none "$target" "fuzz/corpus-run/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
        >"fuzz/corpus-run/$target.log" 2>&1; then
        grep '^#.*DONE' "fuzz/corpus-run/$target.log" | sed "s/^/$target /"
    else
        echo "$target FAILED, see fuzz/corpus-run/$target.log"
        failed="$failed $target"
    fi
done
[ -z "$failed" ]
