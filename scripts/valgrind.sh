#!/bin/sh
# Prints the path of valgrind, with which benchmarks and a test count instructions. Installs it if it is missing.
set -eu
cd "$(dirname "$0")/.."
scripts/require.sh valgrind valgrind
command -v valgrind
