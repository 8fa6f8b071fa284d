"""All tiers: which stages there are, how many cases each has, and what each must show."""

import re
from dataclasses import dataclass, field, replace

import control
import declared
import recognised
import renamed
import unreadable
import useful
from stage import Seen

# Cases of each tier, by form; of U those of public prompts apart.
COUNTS = {
    "short": {"control": 500, "A": 3500, "B": 3100, "P": 300, "C": 400, "U": 800, "R": 300},
    "long": {"control": 2000, "A": 36_000, "B": 31_500, "P": 3000, "C": 6700, "U": 10_400, "R": 10_400},
}


@dataclass
class Result:
    """A stage and its verdict."""

    seen: Seen
    # By case: what left, or was kept at home, or not restored.
    bad: dict
    # Of how many.
    trials: int
    # The share of bad ones is within the mark.
    within: bool
    # Whatever else is wrong.
    faults: list
    # What is counted besides, in words.
    notes: list = field(default_factory=list)

    @property
    def passed(self):
        return self.within and not self.faults


def stages(rig):
    """All stages, in order."""
    made = [stage for tier in (declared, recognised, unreadable, useful, renamed) for stage in tier.stages(rig)]
    # One of each kind of traffic is also sent with all doors open.
    sampled = [stage for stage in made if (stage.tier, stage.name) in _CONTROLLED]
    return [control.opened(stage) for stage in sampled] + made


_CONTROLLED = {("A", "none"), ("A", "strict"), ("B", "strict"), ("P", "strict")}


def plan(rig, form):
    """Stages and their number of cases."""
    every = stages(rig)
    for stage in every:
        weights = sum(other.weight for other in every if other.tier == stage.tier)
        count = max(1, round(COUNTS[form][stage.tier] * stage.weight / weights))
        if stage.make is useful.real:
            count = min(count, len(useful.prompts()))
        yield stage, count


def judge(seen):
    """What a stage shows."""
    faults = list(seen.faults)
    faults += [f"{case} stands in {name}" for case, name in sorted(seen.at_rest)[:5]]
    faults += [f"{case} stands in the header of an answer" for case in sorted(seen.in_headers)[:5]]
    result = Result(seen, dict(seen.leaks), seen.trials, not seen.leaks, faults)
    stage = seen.stage
    if stage.tier == "control":
        return _controlled(result)
    if stage.mark == "published":
        return replace(result, within=True)
    if stage.mark == "restored":
        return _restored(result)
    if stage.mark != "zero":
        kept = {name: f"kept at home: {seen.cases[name].note}" for name in useful.kept(seen)}
        return replace(result, bad=kept, within=len(kept) <= stage.mark * seen.trials)
    return result


def _controlled(result):
    seen = result.seen
    sent, found, decoded = control.found(seen)
    missed = sorted(sent - found)
    if missed:
        result.faults.append(f"the rig is blind: {len(missed)} of {len(sent)} were not found, such as {missed[0]}")
    if len(decoded) < control.DECODED * len(sent):
        result.faults.append(f"the scanner is weak: it decoded {len(decoded)} of {len(sent)}")
    notes = [f"{len(found)} of {len(sent)} found, {len(decoded)} of them decoded"]
    return replace(result, bad={name: "not found" for name in missed}, trials=len(sent), within=not missed, notes=notes)


def _restored(result):
    outside, wrong = renamed.restored(result.seen)
    if wrong:
        result.faults.append(f"not restored: {len(wrong)}, such as {wrong[0]}")
    if outside < 0.9 * result.trials:
        result.faults.append(f"only {outside} of {result.trials} left under pseudonyms")
    return replace(result, notes=[f"{outside - len(wrong)} of {outside} restored"])


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
