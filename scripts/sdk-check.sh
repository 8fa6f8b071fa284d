#!/usr/bin/env bash
# Runs the official SDKs against a running gateway: scripts/sdk-check.sh BASE_URL API_KEY MODEL
# Needs scripts/sdk-venv.sh to have run; without Node, only the Python SDK is checked.
set -euo pipefail
cd "$(dirname "$0")/.."

python="${CARGO_TARGET_DIR:-target}/sdk-venv/bin/python"
"$python" tests/sdk/openai_python.py "$@"
if [[ -d tests/sdk/node_modules/openai ]] && command -v node >/dev/null; then
    node tests/sdk/openai_node.mjs "$@"
else
    echo "skipped  node: no Node or no tests/sdk/node_modules"
fi
