#!/usr/bin/env bash
# Orders an image, waits until it is finished and saves it. Needs curl and jq.
#
#   POYO_BASE_URL=… POYO_API_KEY=… ./generate.sh A paper boat on a calm lake
set -euo pipefail

: "${POYO_BASE_URL:?is not set}" "${POYO_API_KEY:?is not set}"
base_url=${POYO_BASE_URL%/}
prompt=${*:-A paper boat on a calm lake}
polls=600 # every 3 seconds for 30 minutes; an image usually takes one or two minutes, sometimes many more

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# The key is passed on stdin, because every user of the machine can read the arguments of a process.
poyo() {
    curl --silent --show-error --max-time 30 --header @- "$@" <<<"Authorization: Bearer $POYO_API_KEY"
}

order=$(jq --null-input --arg prompt "$prompt" \
    '{model: "gpt-image-2", input: {prompt: $prompt, quality: "low", size: "1:1", resolution: "1K"}}')

# Never retried: a second submit would create and charge a second task.
response=$(poyo --header 'Content-Type: application/json' --data "$order" "$base_url/api/generate/submit")
task_id=$(jq --raw-output --exit-status 'select(.code == 0 or .code == 200).data.task_id' <<<"$response") ||
    fail "rejected: $response"
printf '%s ordered\n' "$task_id"

status=
while [[ $status != finished ]]; do
    ((polls-- > 0)) || fail "$task_id is not finished yet; read its status again later"
    response=$(poyo "$base_url/api/generate/status/$task_id" || true) # polling again is free
    status=$(jq --raw-output '.data.status // empty' <<<"$response" 2>/dev/null || true)
    rejected=$(jq --raw-output 'select(.code >= 400 and .code < 429).error.message' <<<"$response" 2>/dev/null || true)
    [[ -z $rejected ]] || fail "$task_id: $rejected"
    [[ $status != failed ]] || fail "$task_id failed: $(jq --raw-output '.data.error_message' <<<"$response")"
    [[ $status == finished ]] || sleep 3
done

# Sent without the key, which the file host must not see. Some file hosts reject curl's own User-Agent.
file_url=$(jq --raw-output --exit-status '.data.files[0].file_url' <<<"$response") || fail "no file: $response"
curl --silent --show-error --fail --location --max-time 120 \
    --user-agent 'Mozilla/5.0 (compatible; imagetasks-example)' --header 'Accept: image/*' \
    --output "$task_id.png" "$file_url"
printf 'saved %s.png\n' "$task_id"
