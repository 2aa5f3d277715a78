#!/bin/sh
# Opens a pull request with the changes of a patch to the locks, ignoring other files, and starts the gate on it:
#
#     scripts/propose_locks.sh locks.patch
#
# Called by .github/workflows/locks.yml with GH_TOKEN set. With an empty patch it does nothing.
set -eu
cd "$(dirname "$0")/.."
patch=$1
branch=locks
[ -s "$patch" ] || {
    echo "locks: every package is the newest version"
    exit
}
git switch --quiet --force-create "$branch"
git apply --index --include='requirements/*.txt' --include='layers/dependencies/requirements.txt' "$patch"
git -c user.name='github-actions[bot]' -c user.email='41898282+github-actions[bot]@users.noreply.github.com' \
    commit --quiet --message "Update the locks to the newest versions"
gh auth setup-git
git push --quiet --force origin "$branch"
gh pr view "$branch" --json state --jq .state 2>/dev/null | grep -qx OPEN ||
    gh pr create --head "$branch" --title "Update the locks to the newest versions" \
        --body "Created by \`make locks UPGRADE=1\`. Review the changes, especially layers/dependencies, which is deployed."
gh workflow run check.yml --ref "$branch"
