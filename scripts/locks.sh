#!/bin/sh
# Resolves every requirements source into its hash-pinned lock:
#
#     scripts/locks.sh write              keep pinned versions; add and remove packages as in the sources
#     scripts/locks.sh write --upgrade    take the newest version of every package
#     scripts/locks.sh check              change nothing; fail if a lock differs from its source
#
# The layer is resolved first, because the development lock is constrained to its versions.
set -eu
cd "$(dirname "$0")/.."
mode=$1
shift
uv=$(scripts/environment.sh uv)
sources="layers/dependencies/requirements requirements/dev requirements/sam requirements/cloud requirements/uv requirements/audit"

compile() {
    target=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.13 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header --no-annotate "$@" \
        --output-file "$target" "$source.in" >/dev/null
}

if [ "$mode" = write ]; then
    for source in $sources; do
        compile "$source.txt" "$@"
    done
    exit
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0
for source in $sources; do
    cp "$source.txt" "$scratch/lock.txt"
    compile "$scratch/lock.txt"
    if ! diff -u "$source.txt" "$scratch/lock.txt" >"$scratch/diff"; then
        printf '%s.txt differs from the resolution of %s.in; run: make locks\n' "$source" "$source" >&2
        head -20 "$scratch/diff" >&2
        status=1
    fi
done
exit $status
