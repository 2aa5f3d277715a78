#!/usr/bin/env bash
# Order an image, wait until it is finished, save it. Needs curl and jq.
#
#   POYO_BASE_URL=… POYO_API_KEY=… ./generate.sh A paper boat on a calm lake
set -euo pipefail

: "${POYO_BASE_URL:?is not set}" "${POYO_API_KEY:?is not set}"
base_url=${POYO_BASE_URL%/}
prompt=${*:-A paper boat on a calm lake}
polls=600 # of three seconds each: usually a minute or two, sometimes many

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# The key comes in through a pipe: arguments can be read by everyone on the machine.
poyo() {
    curl --silent --show-error --max-time 30 --header @- "$@" <<<"Authorization: Bearer $POYO_API_KEY"
}

order=$(jq --null-input --arg prompt "$prompt" \
    '{model: "gpt-image-2", input: {prompt: $prompt, quality: "low", size: "1:1", resolution: "1K"}}')

# Sent once: a second submit would be a second, paid task.
answer=$(poyo --header 'Content-Type: application/json' --data "$order" "$base_url/api/generate/submit")
task_id=$(jq --raw-output --exit-status 'select(.code == 0 or .code == 200).data.task_id' <<<"$answer") ||
    fail "not accepted: $answer"
printf '%s is ordered\n' "$task_id"

status=
while [[ $status != finished ]]; do
    ((polls-- > 0)) || fail "$task_id is still not finished; ask for it again later"
    answer=$(poyo "$base_url/api/generate/status/$task_id" || true) # asking again costs nothing
    status=$(jq --raw-output '.data.status // empty' <<<"$answer" 2>/dev/null || true)
    refused=$(jq --raw-output 'select(.code >= 400 and .code < 429).error.message' <<<"$answer" 2>/dev/null || true)
    [[ -z $refused ]] || fail "$task_id: $refused"
    [[ $status != failed ]] || fail "$task_id failed: $(jq --raw-output '.data.error_message' <<<"$answer")"
    [[ $status == finished ]] || sleep 3
done

# The key is not for whoever keeps the files; some file hosts turn curl's own name away.
file_url=$(jq --raw-output --exit-status '.data.files[0].file_url' <<<"$answer") || fail "no file: $answer"
curl --silent --show-error --fail --location --max-time 120 \
    --user-agent 'Mozilla/5.0 (compatible; imagetasks-example)' --header 'Accept: image/*' \
    --output "$task_id.png" "$file_url"
printf 'saved %s.png\n' "$task_id"
