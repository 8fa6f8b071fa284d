#!/usr/bin/env bash
# Installs the pinned client libraries that tests/sdk drives: Python environments in target/sdk-venv and
# target/llamaindex-venv (LlamaIndex needs older ones of the SDKs), node_modules in tests/sdk.
# Does nothing where the pinned versions are there.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v npm >/dev/null || { echo "no npm: the clients in Node need it" >&2; exit 1; }

for environment in sdk llamaindex; do
    venv="${CARGO_TARGET_DIR:-target}/$environment-venv"
    pins="tests/sdk/$environment.txt"
    if ! cmp -s "$pins" "$venv/installed.txt"; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$pins"
        cp "$pins" "$venv/installed.txt"
    fi
done

lock=tests/sdk/package-lock.json
if ! cmp -s "$lock" tests/sdk/node_modules/installed.json; then
    npm ci --prefix tests/sdk --silent --no-audit --no-fund
    cp "$lock" tests/sdk/node_modules/installed.json
fi
