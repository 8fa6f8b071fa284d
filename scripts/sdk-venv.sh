#!/usr/bin/env bash
# Installs the pinned official SDKs that tests/sdk drives: a Python environment in target/sdk-venv, node_modules in tests/sdk.
# Does nothing where the pinned versions are there. Node is optional: without npm only the Python SDK is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

venv="${CARGO_TARGET_DIR:-target}/sdk-venv"
pins=tests/sdk/requirements.txt
if ! cmp -s "$pins" "$venv/installed.txt"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$pins"
    cp "$pins" "$venv/installed.txt"
fi

lock=tests/sdk/package-lock.json
if ! command -v npm >/dev/null; then
    echo "no npm: the checks of the Node SDK need it" >&2
elif ! cmp -s "$lock" tests/sdk/node_modules/installed.json; then
    npm ci --prefix tests/sdk --silent --no-audit --no-fund
    cp "$lock" tests/sdk/node_modules/installed.json
fi
