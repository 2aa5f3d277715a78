#!/bin/sh
# Prints the path of Chromium, which tests/deployed/test_browser.py drives. Installs it if it is missing.
set -eu
cd "$(dirname "$0")/.."
scripts/require.sh chromium chromium
command -v chromium
