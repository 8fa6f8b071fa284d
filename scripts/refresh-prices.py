#!/usr/bin/env python3
"""Regenerates src/govern/prices.json from the community catalogue in the PyPI package `litellm`.

Usage: scripts/refresh-prices.py [path/to/litellm.whl]

Without an argument the newest wheel is downloaded with pip into a temporary folder. The gateway never runs this: it
serves with the file that was compiled in. Prices are facts; the form of the file is our own: US dollars per million
tokens, one model a line, dated snapshots of the same price folded into `also`.
"""

import datetime
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

CATALOGUE = "litellm/model_prices_and_context_window_backup.json"
TARGET = pathlib.Path(__file__).resolve().parent.parent / "src" / "govern" / "prices.json"

# Catalogue's provider name -> ours.
PROVIDERS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "groq": "groq",
    "xai": "xai",
    "cohere_chat": "cohere",
}
MODES = {"chat", "responses", "embedding"}
# Not priced by text tokens alone, or not offered to everyone.
SKIP = re.compile(r"^ft:|audio|realtime|tts|search|deep-research|computer-use|robotics|lyria|beta|experimental|-exp\b|-exp-|guard|omni")
SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|\d{4})$")


def wheel(folder):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", folder, "litellm"]
    subprocess.run(command, check=True)
    return next(pathlib.Path(folder).glob("litellm-*.whl"))


def per_million(entry, field):
    """US dollars per million tokens, without the noise of binary floats."""
    usd = entry.get(field)
    return None if usd is None else float(f"{usd * 1e6:.6g}")


def long_context(entry):
    """The dearer tier above a prompt length, where there is one: (tokens, rates)."""
    for field in sorted(entry):
        match = re.fullmatch(r"input_cost_per_token_above_(\d+)k_tokens", field)
        if match:
            suffix = f"_above_{match[1]}k_tokens"
            rates = {
                "above": int(match[1]) * 1000,
                "input": per_million(entry, "input_cost_per_token" + suffix),
                "output": per_million(entry, "output_cost_per_token" + suffix),
                "cached_input": per_million(entry, "cache_read_input_token_cost" + suffix),
                "cache_write": per_million(entry, "cache_creation_input_token_cost" + suffix),
            }
            return {name: value for name, value in rates.items() if value is not None}
    return None


def price(entry):
    facts = {
        "input": per_million(entry, "input_cost_per_token"),
        "output": per_million(entry, "output_cost_per_token"),
        "cached_input": per_million(entry, "cache_read_input_token_cost"),
        "cache_write": per_million(entry, "cache_creation_input_token_cost"),
        "audio_input": per_million(entry, "input_cost_per_audio_token"),
        "audio_output": per_million(entry, "output_cost_per_audio_token"),
        "context": entry.get("max_input_tokens") or entry.get("max_tokens"),
        "max_output": entry.get("max_output_tokens"),
        "long": long_context(entry),
    }
    # Sound that costs as much as text says nothing new.
    for sound, text in (("audio_input", "input"), ("audio_output", "output")):
        if facts[sound] == facts[text]:
            facts[sound] = None
    return {name: value for name, value in facts.items() if value is not None}


def models(catalogue):
    """(provider, name) -> price, for the models that are paid by text tokens."""
    found = {}
    for full_name, entry in catalogue.items():
        provider = PROVIDERS.get(entry.get("litellm_provider"))
        name = full_name.removeprefix(f"{entry.get('litellm_provider')}/")
        if provider is None or entry.get("mode") not in MODES or SKIP.search(name):
            continue
        facts = price(entry)
        if facts.get("input") and "output" in facts:
            found.setdefault((provider, name), facts)
    return found


def folded(found):
    """Folds dated snapshots into the model they are a snapshot of, where the facts agree."""
    rows = {}
    for (provider, name), facts in sorted(found.items(), key=lambda item: (item[0][0], len(item[0][1]), item[0][1])):
        base = SNAPSHOT.sub("", name)
        if base != name and found.get((provider, base)) == facts:
            rows[provider, base]["also"].append(name)
        else:
            rows[provider, name] = {"provider": provider, "model": name, "also": [], **facts}
    order = list(PROVIDERS.values())
    return sorted(rows.values(), key=lambda row: (order.index(row["provider"]), row["model"]))


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else wheel(folder)
        version = path.name.split("-")[1]
        rows = folded(models(json.loads(zipfile.ZipFile(path).read(CATALOGUE))))
    for row in rows:
        if not row["also"]:
            del row["also"]
    lines = ",\n".join("    " + json.dumps(row) for row in rows)
    source = f"the catalogue of the PyPI package litellm {version}, by scripts/refresh-prices.py"
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    head = f'{{\n  "source": {json.dumps(source)},\n  "date": "{date}",\n  "unit": "USD per million tokens",\n  "models": [\n'
    TARGET.write_text(head + lines + "\n  ]\n}\n")
    print(f"{len(rows)} models -> {TARGET}", file=sys.stderr)


if __name__ == "__main__":
    main()
