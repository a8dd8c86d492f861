#!/bin/sh
# environment.sh DIRECTORY REQUIREMENTS: a Python 3.13 environment with exactly these hashed requirements.
# Does nothing when it is there already. Works with uv, which it brings when there is none (a third of pip's time), else
# with pip. The interpreter is a Python 3.13 of this machine, else one that uv downloads.
set -eu
directory=$1
requirements=$2
tools=.venv-tools
bootstrap=$(dirname "$0")/../requirements/bootstrap.txt

current() {
    cmp -s "$requirements" "$directory/requirements.txt" && "$directory/bin/python" -c '' 2>/dev/null
}
current && exit 0

# Two makes at a time take turns. The lock ends with the process, however that ends.
mkdir -p "$tools"
if command -v flock >/dev/null 2>&1; then
    exec 9>"$tools/lock"
    flock 9
    current && exit 0
fi

say() { printf '%s\n' "$*" >&2; }

find_uv() {
    brought=$tools/uv/bin/uv
    cmp -s "$bootstrap" "$tools/uv/requirements.txt" || brought=
    for candidate in uv "$brought" "${HOME:-/}/.local/bin/uv"; do
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" --version >/dev/null 2>&1; then
            uv=$candidate
            return 0
        fi
    done
    return 1
}

bring_uv() {
    for python in python3.13 python3 python; do
        if "$python" -m venv --clear "$tools/uv" >/dev/null 2>&1 &&
            "$tools/uv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
                --requirement "$bootstrap" >/dev/null 2>&1; then
            cp "$bootstrap" "$tools/uv/requirements.txt"
            return 0
        fi
    done
    rm -rf "$tools/uv"
    return 1
}

is_313() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; }

# A pyenv shim answers only where its version is chosen, which .python-version does for this folder.
find_python() {
    for candidate in python3.13 python3 python; do
        if is_313 "$candidate"; then
            python313=$("$candidate" -c 'import sys; print(sys.executable)')
            return 0
        fi
    done
    return 1
}

sync_with_uv() {
    "$uv" pip sync --quiet --require-hashes --python "$directory/bin/python" "$requirements"
}

say "Preparing $directory from $requirements (the first time takes about half a minute) ..."
started=$(date +%s)
mkdir -p "$(dirname "$directory")"
rm -f "$directory/requirements.txt"

python313=
find_python || true
if find_uv || { bring_uv && find_uv; }; then
    if ! is_313 "$directory/bin/python" && ! "$uv" venv --quiet --clear --python "${python313:-3.13}" "$directory"; then
        say "Python 3.13 is needed: none was found here, and uv could not download one (see above)."
        exit 1
    fi
    # uv brings certificates of its own; behind a company's proxy only the system's know the way
    sync_with_uv 2>/dev/null || UV_SYSTEM_CERTS=true sync_with_uv
elif [ -n "$python313" ]; then
    is_313 "$directory/bin/python" || "$python313" -m venv --clear "$directory"
    "$directory/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
        --requirement "$requirements"
else
    say "Neither uv nor Python 3.13 was found, and uv could not be installed."
    say "Install one of them, or what lets Python install uv; on Debian: apt-get install python3-venv."
    exit 1
fi

cp "$requirements" "$directory/requirements.txt"
say "Prepared $directory in $(($(date +%s) - started)) s."
