#!/bin/sh
# Runs TypeScript's compiler, which checks the types of clients/js. It is one npm package and runs in Node.
set -eu
home=$(dirname "$0")/..
"$home/scripts/npm_package.sh" .local/typescript typescript@5.9.3 \
    jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4bXlb1RHhLpp8wtm6M5TgSw==
"$home/scripts/require.sh" node nodejs
exec node "$home/.local/typescript/bin/tsc" "$@"
