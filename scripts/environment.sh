#!/bin/sh
# Makes the environments on the command line match their hash locks:
#
#     scripts/environment.sh dev sam cloud     .local/envs/NAME from requirements/NAME.txt
#     scripts/environment.sh uv                only prints the path of uv
#
# It never prompts, and writes nothing outside .local/ except caches. If the lock of an environment has not
# changed, it returns within milliseconds.
set -eu
cd "$(dirname "$0")/.."
envs=.local/envs
export UV_PYTHON_INSTALL_DIR="$PWD/.local/python"
unset VIRTUAL_ENV || true

fail() {
    printf 'environments: %s\n' "$1" >&2
    exit 1
}

# Prints the path of uv: from PATH, otherwise installed from its lock with the system's Python and pip.
find_uv() {
    if command -v uv >/dev/null 2>&1; then
        command -v uv
        return
    fi
    if ! cmp -s requirements/uv.txt "$envs/uv/lock.txt"; then
        printf 'environments: uv is not on PATH, installing it into %s/uv\n' "$envs" >&2
        python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null ||
            fail "needs python3, 3.9 or newer (or uv) on PATH"
        rm -rf "$envs/uv"
        mkdir -p "$envs"
        python3 -m venv "$envs/uv" >&2 ||
            fail "python3 cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"
        "$envs/uv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --require-hashes --only-binary=:all: -r requirements/uv.txt >&2 ||
            fail "pip could not install uv (see above); install uv by hand and run again"
        cp requirements/uv.txt "$envs/uv/lock.txt"
    fi
    printf '%s\n' "$PWD/$envs/uv/bin/uv"
}

# Prints the path of Python 3.13: from PATH or pyenv, otherwise downloaded by uv.
find_python() {
    "$uv" python find --system --no-python-downloads 3.13 2>/dev/null && return
    printf 'environments: no Python 3.13 on PATH, fetching one with uv\n' >&2
    "$uv" python install --no-bin 3.13 >&2 ||
        fail "Python 3.13 is missing and could not be fetched; install it (python.org, pyenv, or your package manager) and run again"
    "$uv" python find --system --no-python-downloads 3.13
}

sync() {
    name=$1
    lock=requirements/$name.txt
    env=$envs/$name
    [ -f "$lock" ] || fail "$lock does not exist"
    if cmp -s "$lock" "$env/lock.txt" && "$env/bin/python" -c '' 2>/dev/null; then
        return
    fi
    printf 'environments: creating %s from %s\n' "$env" "$lock" >&2
    python=$(find_python)
    rm -f "$env/lock.txt"
    "$env/bin/python" -c '' 2>/dev/null ||
        "$uv" venv --quiet --clear --no-project --python "$python" "$env"
    "$uv" pip sync --quiet --compile-bytecode --require-hashes --python "$env/bin/python" "$lock" ||
        fail "$env could not be created from $lock (see above)"
    cp "$lock" "$env/lock.txt"
}

uv=$(find_uv)
for name in "$@"; do
    case $name in
        uv) printf '%s\n' "$uv" ;;
        *) sync "$name" ;;
    esac
done
