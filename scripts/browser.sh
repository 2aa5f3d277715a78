#!/bin/sh
# Say where Chromium is, the browser that the browser's tests drive; have it installed where it is missing.
set -eu
cd "$(dirname "$0")/.."
scripts/require.sh chromium chromium
command -v chromium
