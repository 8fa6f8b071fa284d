#!/usr/bin/env bash
# Measures the gateway beside nginx and the simulator, then the engine at several answers at once. Arguments go to
# scripts/bench/bench.py (--rounds, --seconds, …).
# AJAR_BIN names another gateway binary; CARGO_FLAGS goes to cargo, such as --no-default-features.
set -euo pipefail
cd "$(dirname "$0")/.."

release="${CARGO_TARGET_DIR:-target}/release"
ajar="${AJAR_BIN:-$release/ajar}"
# shellcheck disable=SC2086 # several flags in one variable
cargo build --release ${CARGO_FLAGS:-} --bin ajar --example provider_sim --example loadgen

python3 scripts/bench/bench.py --examples "$release/examples" --ajar "$ajar" "$@"
# shellcheck disable=SC2086
[[ " ${CARGO_FLAGS:-} " == *" --no-default-features "* ]] || cargo bench ${CARGO_FLAGS:-} --bench engine
