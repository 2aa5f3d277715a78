#!/bin/sh
# Ensures that a program is installed: `scripts/require.sh PROGRAM DEBIAN_PACKAGE`. On Debian it installs a missing
# program as root, and in CI with sudo. Anywhere else it fails and names what to install.
set -eu
program=$1
package=$2
command -v "$program" >/dev/null 2>&1 && exit
as_root=
[ "$(id -u)" = 0 ] || as_root='sudo -n'
if [ -n "$as_root" ] && [ "${CI:-}" != true ] || ! command -v apt-get >/dev/null; then
    printf '%s is missing; install it (Debian: apt install %s)\n' "$program" "$package" >&2
    exit 1
fi
{ $as_root apt-get -qq update && $as_root apt-get -qq install --yes --no-install-recommends "$package"; } >&2 || {
    printf '%s is missing and could not be installed (see above)\n' "$program" >&2
    exit 1
}
