"""What a run shows, for people."""

import bounds

_ORDER = "control A B P C U R".split()
_MEANS = {
    "control": "everything permitted: not found",
    "A": "declared private: left",
    "B": "checksum or dictionary: left",
    "P": "known by form: left",
    "C": "not to be looked into: left",
    "U": "not private: kept at home",
    "R": "pseudonyms: originals left",
}
_HEAD = ["| | What | trials | bad | at most (95 %) | mark | held | |", "|---|---|---|---|---|---|---|---|"]
# How many cases are named, and how many kinds of outcomes.
_NAMED, _KINDS = 10, 6


def line(result):
    """One stage in one line."""
    words = [f"{_name(result)}: {len(result.bad)} of {result.trials}", f"{result.seen.bodies} bodies outside", *result.notes]
    words += [f"{case} {how} ({_note(result.seen, case)})" for case, how in list(result.bad.items())[:3]]
    return ("" if result.passed else "FAILED ") + "; ".join(words + result.faults[:3])


def markdown(results, arguments, seconds):
    """The whole report, and whether all passed."""
    passed = all(result.passed for result in results)
    verdict = "passed" if passed else "FAILED"
    lines = [f"Leak rig, {arguments.form} form, seed {arguments.seed}: {verdict} in {seconds:.0f} s.", ""]
    lines += _HEAD + [row for tier in _ORDER for row in _rows(results, tier)]
    lines += ["", "Tier A, by fault:", "", *_HEAD]
    lines += [_row(_name(r), r.seen.stage.about, [r]) for r in results if r.seen.stage.tier == "A"]
    if passed:
        entered = sum(result.seen.entered for result in results)
        lines += ["", f"{entered:,} entries in the egress ledgers, which verify, and every body outside is one of them. "
                  "No canary in any log, metric, record, ledger or header of an answer."]
    return "\n".join([*lines, "", *_particulars(results)]) + "\n", passed


def _rows(results, tier):
    of_tier = [result for result in results if result.seen.stage.tier == tier]
    if tier == "A" and of_tier:
        return [_row("A", f"{_MEANS[tier]}; by fault below", of_tier)]
    return [_row(_name(r), f"{r.seen.stage.about}; {_MEANS[tier]}", [r]) for r in of_tier]


def _row(name, about, results):
    bad, trials = sum(len(result.bad) for result in results), sum(result.trials for result in results)
    bound = f"{bounds.upper(bad, trials):.3%}" if trials else "-"
    held = "yes" if all(result.passed for result in results) else "**NO**"
    more = "; ".join([*results[0].notes, _outcomes(results[0].seen)]) if len(results) == 1 else ""
    return f"| {name} | {about} | {trials:,} | {bad:,} | {bound} | {_mark(results[0].seen.stage)} | {held} | {more} |"


def _particulars(results):
    for result in results:
        yield from (f"- {_name(result)}: {fault}" for fault in result.faults)
        if result.bad:
            yield from (f"- {case}: {how}: {_note(result.seen, case)}" for case, how in list(result.bad.items())[:_NAMED])


def _name(result):
    return f"{result.seen.stage.tier}/{result.seen.stage.name}"


def _note(seen, name):
    return seen.cases[name].note if name in seen.cases else "no single case"


def _outcomes(seen):
    return ", ".join(f"{kind} {count:,}" for kind, count in seen.outcomes.most_common(_KINDS))


def _mark(stage):
    words = {"zero": "0", "restored": "0, all restored", "published": "published"}
    return words[stage.mark] if stage.mark in words else f"{stage.mark:.0%}"


def replayed(case, result):
    """One case: what was sent, and what left."""
    seen = result.seen
    parts = [f"{case.name}: {case.note}"]
    for message, reply in zip(case.messages, seen.replies[case.name]):
        shown = {name: value for name, value in message.headers.items() if name != "authorization"}
        parts.append(f"\n--- sent with the key `{message.key}` to {message.path} {shown}\n{message.body.decode()}")
        parts.append(f"\n--- answer: {reply.outcome()}\n{reply.head.decode('latin-1')}\n{reply.body.decode(errors='replace')}")
    for request in seen.crossing.requests:
        parts.append(f"\n--- left\n{request.head.decode('latin-1')}\n\n{request.body.decode(errors='replace')}")
    wrong = "; ".join([*result.bad.values(), *result.faults]) or "nothing"
    parts.append(f"\n--- {len(seen.crossing.requests)} requests and {seen.payload} bytes left; wrong: {wrong}")
    return "\n".join(parts)
