#!/bin/sh
# What the examples run on, named as commands: node npm curl jq. Where one is missing and this is Debian
# as root, as on a CI machine, it is installed.
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
