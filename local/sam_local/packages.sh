#!/bin/sh
# Unpack Debian's container engine (dockerd, containerd, runc) into .local/sam-local/packages without
# installing it, so that no service starts, no bridge is created and nothing listens on a port.
# Only the shared libraries that it needs and that this machine lacks are installed.
set -eu
cd "$(dirname "$0")/../.."
folder=.local/sam-local/packages
packages="docker.io containerd runc"
libraries="libdevmapper1.02.1 libseccomp2 libsystemd0"

fail() {
    printf 'sam-local: %s\n' "$1" >&2
    exit 1
}

fetch() {
    # shellcheck disable=SC2086  # three words
    (cd "$folder" && apt-get -qq -o APT::Sandbox::User=root download $packages)
}

[ -f "$folder/complete" ] && exit 0
printf 'sam-local: fetching %s\n' "$packages"
rm -rf "$folder"
mkdir -p "$folder"
fetch 2>/dev/null || { apt-get -qq update && fetch; } || fail "$packages could not be fetched (see above)"
for package in "$folder"/*.deb; do
    dpkg-deb --extract "$package" "$folder"
    rm "$package"
done
if ldd "$folder/usr/sbin/dockerd" "$folder/usr/sbin/runc" | grep -q 'not found'; then
    # shellcheck disable=SC2086  # three words
    apt-get -qq install --yes --no-install-recommends $libraries ||
        fail "$libraries could not be installed (see above)"
fi
: >"$folder/complete"
