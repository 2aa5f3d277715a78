#!/bin/sh
# Lints functions/openapi.json with Redocly. It is one npm package and runs in Node 20.19 or newer.
set -eu
cd "$(dirname "$0")/.."
scripts/npm_package.sh .local/redocly @redocly/cli@2.77.0 \
    XUa4hURDWLPG9WukIXo+UBqa9VpeTndmLI5PHu9QDkwtwH990Jsgz9nl2m1pZjsWrKFPP7avn6etRxxDbuD2Bg==
scripts/require.sh node nodejs
node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' || {
    printf 'redocly: Node 20.19 or newer is needed, this is %s\n' "$(node --version)" >&2
    exit 1
}
REDOCLY_TELEMETRY=off exec node .local/redocly/bin/cli.js lint --config scripts/redocly.yaml "${@:-functions/openapi.json}"
