#!/usr/bin/env bash
# Orders an image, waits until it is finished and saves it. Needs curl and jq.
#
#   IMAGETASKS_URL=… IMAGETASKS_KEY=… ./generate.sh A paper boat on a calm lake
#
# With IDEMPOTENCY_KEY=…, a name of your own for this image, a second run finds the same image and pays nothing.
set -euo pipefail

: "${IMAGETASKS_URL:?is not set}" "${IMAGETASKS_KEY:?is not set}"
base_url=${IMAGETASKS_URL%/}
prompt=${*:-A paper boat on a calm lake}
# Chosen before the first request and the same in each repetition: it makes repeating an order safe.
idempotency_key=${IDEMPOTENCY_KEY:-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')}
deadline=$((SECONDS + 1800)) # an image usually takes one or two minutes, sometimes many more

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# Repeats what may pass: no response, 408, 429 and most 5xx, after Retry-After where there is one. The key is passed on
# stdin, because every user of the machine can read the arguments of a process.
api() {
    curl --silent --show-error --max-time 30 --retry 6 --retry-connrefused --retry-max-time 120 --header @- "$@" \
        <<<"Authorization: Bearer $IMAGETASKS_KEY"
}

order=$(jq --null-input --arg prompt "$prompt" \
    '{model: "gpt-image-2", input: {prompt: $prompt, quality: "low", size: "1:1", resolution: "1K"}}')
task=$(api --header 'Content-Type: application/json' --header "Idempotency-Key: $idempotency_key" --data "$order" \
    "$base_url/v1/tasks") || fail "no response; run again with IDEMPOTENCY_KEY=$idempotency_key"
task_id=$(jq --raw-output --exit-status 'select(.status | type == "string").task_id' <<<"$task" 2>/dev/null) ||
    fail "not ordered: $task"
printf '%s ordered\n' "$task_id"

while status=$(jq --raw-output '.status' <<<"$task" 2>/dev/null || true) && [[ $status != finished ]]; do
    [[ $status != failed ]] || fail "$task_id failed: $(jq --raw-output '.error.message' <<<"$task")"
    [[ ! $status =~ ^40[0-9]$ ]] || fail "$task_id: $task" # a problem, whose status is a number
    ((SECONDS < deadline)) || fail "$task_id is not finished yet; read it again later"
    sleep 3
    task=$(api "$base_url/v1/tasks/$task_id" || true) # reading costs nothing
done

# The file's URL needs no key.
file_url=$(jq --raw-output --exit-status '.files[0].file_url' <<<"$task") || fail "no file: $task"
curl --silent --show-error --fail --location --max-time 120 --retry 3 --output "$task_id.png" "$file_url"
printf 'saved %s.png\n' "$task_id"
