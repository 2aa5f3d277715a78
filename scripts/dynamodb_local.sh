#!/bin/sh
# Installs DynamoDB Local, AWS's own engine, from an npm package into .local/dynamodb-local. For tests only: its
# licence forbids distributing it. It needs Java 17.
set -eu
cd "$(dirname "$0")/.."
scripts/require.sh java default-jre-headless
scripts/npm_package.sh .local/dynamodb-local amplify-dynamodb-simulator@2.9.30 \
    xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ== \
    package/emulator package/LICENSE
