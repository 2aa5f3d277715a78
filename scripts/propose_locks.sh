#!/bin/sh
# Bring a patch of the locks, and nothing but the locks, into a pull request and start the gate on it:
#
#     scripts/propose_locks.sh locks.patch
#
# Called by .github/workflows/locks.yml with GH_TOKEN set. An empty patch is the end of it.
set -eu
cd "$(dirname "$0")/.."
patch=$1
branch=locks
[ -s "$patch" ] || {
    echo "locks: everything is the newest there is"
    exit
}
git switch --quiet --force-create "$branch"
git apply --index --include='requirements/*.txt' --include='layers/dependencies/requirements.txt' "$patch"
git -c user.name='github-actions[bot]' -c user.email='41898282+github-actions[bot]@users.noreply.github.com' \
    commit --quiet --message "Locks: the newest of everything"
gh auth setup-git
git push --quiet --force origin "$branch"
gh pr view "$branch" --json state --jq .state 2>/dev/null | grep -qx OPEN ||
    gh pr create --head "$branch" --title "Locks: the newest of everything" \
        --body "Made by \`make locks UPGRADE=1\`. Read what changed, most of all in layers/dependencies: that ships."
gh workflow run check.yml --ref "$branch"
