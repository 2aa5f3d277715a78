#!/bin/sh
# Say where Chromium is, the browser that the browser's tests drive. Where it is missing and this is
# Debian as root, as on a CI machine, it is installed.
set -eu

fail() {
    printf 'browser: %s\n' "$1" >&2
    exit 1
}

if ! command -v chromium >/dev/null 2>&1; then
    { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } ||
        fail "chromium is missing; install it (Debian: apt install chromium)"
    printf 'browser: installing chromium\n' >&2
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends chromium; } >&2 ||
        fail "chromium is missing and could not be installed (see above)"
fi
command -v chromium
