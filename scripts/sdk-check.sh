#!/usr/bin/env bash
# Runs the official SDKs against a running gateway: scripts/sdk-check.sh BASE_URL API_KEY MODEL [scripted]
# BASE_URL ends with /v1, which Anthropic's SDKs add by themselves; `scripted` is for a model that calls tools when told to.
# Needs scripts/sdk-venv.sh to have run; without Node, only the Python SDK is checked.
set -euo pipefail
cd "$(dirname "$0")/.."

python="${CARGO_TARGET_DIR:-target}/sdk-venv/bin/python"
base="${1%/v1}"
"$python" tests/sdk/openai_python.py "$@"
"$python" tests/sdk/anthropic_python.py "$base" "${@:2}"
if [[ -d tests/sdk/node_modules/openai ]] && command -v node >/dev/null; then
    node tests/sdk/openai_node.mjs "$@"
    node tests/sdk/anthropic_node.mjs "$base" "${@:2}"
else
    echo "skipped  node: no Node or no tests/sdk/node_modules"
fi
