"""The leak rig: `python3 tests/leak short|long --ajar PATH`. docs/privacy.md says what it shows."""

import argparse
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import provider
import report
import tiers
from netns import Impossible, Lab
from stage import run

SKIPPED = 77


@dataclass
class Rig:
    """What all stages share."""

    lab: Lab
    ajar: Path
    home: provider.Process
    outside: provider.Process
    threads: int


def main():
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Lab() as lab:
            home = provider.Process(provider.home, lab.gateway)
            outside = provider.Process(provider.outside, lab.outside)
            try:
                rig = Rig(lab, arguments.ajar, home, outside, threads=2 * (os.cpu_count() or 2))
                return _replay(rig, arguments) if arguments.case else _run(rig, arguments)
            finally:
                home.stop()
                outside.stop()
    except Impossible as reason:
        print(f"leak rig: skipped: {reason}", file=sys.stderr)
        return 0 if os.environ.get("AJAR_LEAK_MAY_SKIP") == "1" else SKIPPED


def _arguments():
    parser = argparse.ArgumentParser(prog="tests/leak", description=__doc__)
    parser.add_argument("form", choices=["short", "long"])
    parser.add_argument("--ajar", type=Path, required=True, help="the program")
    parser.add_argument("--seed", default="1", help="another one makes other cases")
    parser.add_argument("--report", type=Path, help="where the report goes, in Markdown")
    parser.add_argument("--case", help="send one case again, by its printed name, and show what left")
    parser.add_argument("--only", help="only stages whose name begins so, such as A or A/reload; no verdict")
    arguments = parser.parse_args()
    if not arguments.ajar.is_file():
        parser.error(f"there is no {arguments.ajar}; `cargo build` makes it")
    return arguments


def _run(rig, arguments):
    began = time.monotonic()
    results = []
    for stage, count in tiers.plan(rig, arguments.form):
        if arguments.only and not f"{stage.tier}/{stage.name}".startswith(arguments.only):
            continue
        start = time.monotonic()
        seen = run(rig, stage, [stage.case(arguments.seed, index) for index in range(count)])
        results.append(tiers.judge(seen))
        seen.forget(but=results[-1].bad)
        print(f"{time.monotonic() - began:6.1f} s  {report.line(results[-1])}  ({time.monotonic() - start:.1f} s)", flush=True)
    text, passed = report.markdown(results, arguments, time.monotonic() - began)
    print(f"\n{text}")
    if arguments.report:
        arguments.report.write_text(text)
    return 0 if passed else 1


def _replay(rig, arguments):
    stage, index, seed = tiers.find(rig, arguments.form, arguments.case)
    case = stage.case(seed, index)
    result = tiers.judge(run(rig, stage, [case]))
    print(report.replayed(case, result))
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
