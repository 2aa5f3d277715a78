#!/bin/sh
# Redocly's linter over the API's contract. It comes in one npm package, into .local/redocly, and runs in Node
# 20.19 or newer; where npm or Node is missing and this is Debian as root, as on a CI machine, it is installed.
set -eu
cd "$(dirname "$0")/.."
home=.local/redocly
package=@redocly/cli@2.77.0
sha512=XUa4hURDWLPG9WukIXo+UBqa9VpeTndmLI5PHu9QDkwtwH990Jsgz9nl2m1pZjsWrKFPP7avn6etRxxDbuD2Bg==

fail() {
    printf 'redocly: %s\n' "$1" >&2
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
    [ -f "$home/bin/cli.js" ] && [ "$(cat "$home/sha512" 2>/dev/null)" = "$sha512" ] && return
    need npm npm
    printf 'redocly: fetching it into %s\n' "$home" >&2
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
node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' ||
    fail "Node 20.19 or newer is needed, this is $(node --version)"
REDOCLY_TELEMETRY=off exec node "$home/bin/cli.js" lint --config scripts/redocly.yaml "${@:-functions/openapi.json}"
