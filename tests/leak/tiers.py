"""All tiers: which stages there are, how many cases each has, and what each must show."""

import re
from dataclasses import dataclass

import control
import declared
from stage import Seen


@dataclass(frozen=True)
class Form:
    """How many cases each tier has."""

    declared: int
    control: int


FORMS = {"short": Form(declared=3000, control=300), "long": Form(declared=30_600, control=3000)}


@dataclass
class Result:
    """A stage and its verdict: the leaks, and whatever else is wrong."""

    seen: Seen
    leaks: dict
    faults: list
    # What a tier counts besides, in words.
    notes: list


def plan(rig, form):
    """Stages and their number of cases, in order."""
    sizes = FORMS[form]
    stages = declared.stages(rig)
    yield from _shared(stages, sizes.declared)
    for stage, count in _shared([stages[0], stages[1]], sizes.control):
        yield control.opened(stage), count


def _shared(stages, total):
    weights = sum(stage.weight for stage in stages)
    return [(stage, max(1, round(total * stage.weight / weights))) for stage in stages]


def judge(seen):
    """What a stage shows."""
    faults, notes = list(seen.faults), []
    faults += [f"{case} stands in {name}" for case, name in sorted(seen.at_rest)[:5]]
    faults += [f"{case} stands in the header of an answer" for case in sorted(seen.in_headers)[:5]]
    if seen.stage.tier != "control":
        return Result(seen, seen.leaks, faults, notes)
    sent, found, decoded = control.found(seen)
    notes.append(f"{len(found)} of {sent} found, {len(decoded)} of them decoded")
    missed = sorted(seen.cases.keys() - found)
    if len(found) < sent:
        faults.append(f"the rig is blind: {sent - len(found)} of {sent} were not found, such as {missed[0]}")
    if len(decoded) < control.DECODED * sent:
        faults.append(f"the scanner is weak: it decoded {len(decoded)} of {sent}")
    return Result(seen, {}, faults, notes)


def find(rig, form, name):
    """The stage, number and seed of a case by its printed name, whatever is printed around it."""
    match = re.search(r"([A-Za-z]+)/([A-Za-z0-9-]+)/([^/\s]+)/(\d+)", name)
    if match is None:
        raise SystemExit(f"`{name}` is no case: names are printed as A/reload/1/17")
    tier, stage_name, seed, index = match.groups()
    for stage, _ in plan(rig, form):
        if (stage.tier, stage.name) == (tier, stage_name):
            return stage, int(index), seed
    raise SystemExit(f"there is no stage {tier}/{stage_name}")
