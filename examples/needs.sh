#!/bin/sh
# Ensures that the given commands are installed, for example: node npm curl jq. On Debian as root, as on a CI
# machine, it installs a missing one. Anywhere else it fails and names the package.
set -eu

fail() {
    printf 'examples: %s\n' "$1" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null 2>&1 && return
    { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } ||
        fail "$1 is missing; install it (Debian: apt install $2)"
    printf 'examples: installing %s\n' "$2" >&2
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends "$2"; } >&2 ||
        fail "$1 is missing and could not be installed (see above)"
}

for command; do
    case $command in
        node) need node nodejs ;;
        *) need "$command" "$command" ;;
    esac
done
