#!/bin/sh
# Ensures that a program is installed: `scripts/require.sh PROGRAM DEBIAN_PACKAGE`. On Debian as root, as on a CI
# machine, it installs a missing program. Anywhere else it fails and names what to install.
set -eu
program=$1
package=$2
command -v "$program" >/dev/null 2>&1 && exit
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    printf '%s is missing; install it (Debian: apt install %s)\n' "$program" "$package" >&2
    exit 1
fi
{ apt-get -qq update && apt-get -qq install --yes --no-install-recommends "$package"; } >&2 || {
    printf '%s is missing and could not be installed (see above)\n' "$program" >&2
    exit 1
}
