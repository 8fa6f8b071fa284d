"""What a run shows, for people."""

import bounds


_ORDER = "control A B P C U R".split()
_MEANS = {"control": "everything permitted: not found", "A": "declared private: left", "B": "checksum or dictionary: left",
          "P": "known by form: left", "C": "not to be looked into: left", "U": "not private: kept at home", "R": "pseudonyms: originals left"}


def line(result):
    """One stage in one line."""
    seen = result.seen
    words = [f"{seen.stage.tier}/{seen.stage.name}: {len(result.bad)} of {result.trials}", f"{seen.bodies} bodies outside", *result.notes]
    words += [f"{case} {how} ({_note(seen, case)})" for case, how in list(result.bad.items())[:3]] + result.faults[:3]
    return ("" if result.passed else "FAILED ") + "; ".join(words)


def _note(seen, name):
    return seen.cases[name].note if name in seen.cases else "no single case"


def _outcomes(seen):
    return ", ".join(f"{kind} {count}" for kind, count in seen.outcomes.most_common(6))


def _mark(stage):
    if stage.mark == "zero" or stage.tier == "control":
        return "0"
    if stage.mark == "restored":
        return "0, all restored"
    return stage.mark if stage.mark == "published" else f"{stage.mark:.0%}"


def _row(name, about, bad, trials, mark, more, passed):
    bound = f"{bounds.upper(bad, trials):.3%}" if trials else "-"
    verdict = "yes" if passed else "**NO**"
    return f"| {name} | {about} | {trials:,} | {bad:,} | {bound} | {mark} | {verdict} | {more} |"


_HEAD = ["| | What | trials | bad | at most (95 %) | mark | held | |", "|---|---|---|---|---|---|---|---|"]


def markdown(results, arguments, seconds):
    """The whole report, and whether all passed."""
    passed = all(result.passed for result in results)
    rows, faulted = list(_HEAD), list(_HEAD)
    for tier in _ORDER:
        of_tier = [result for result in results if result.seen.stage.tier == tier]
        if tier == "A" and of_tier:
            bad, trials = (sum(counts) for counts in zip(*((len(r.bad), r.trials) for r in of_tier)))
            rows.append(_row("A", f"{_MEANS['A']}; {len(of_tier)} faults below", bad, trials, "0", "", all(r.passed for r in of_tier)))
        into = faulted if tier == "A" else rows
        into += [_row(f"{tier}/{r.seen.stage.name}", f"{r.seen.stage.about}; {_MEANS[tier]}" if tier != "A" else r.seen.stage.about,
                      len(r.bad), r.trials, _mark(r.seen.stage), "; ".join([*r.notes, _outcomes(r.seen)]), r.passed) for r in of_tier]
    entered = sum(result.seen.entered for result in results)
    parts = [f"Leak rig, {arguments.form} form, seed {arguments.seed}: {'passed' if passed else 'FAILED'} in {seconds:.0f} s.", "",
             *rows, "", "Tier A, by fault:", "", *faulted, "",
             f"{entered:,} entries in the egress ledgers, which verify, and every body outside is one of them. No canary in any log, "
             "metric, record, ledger or header of an answer." if passed else "See what is wrong:", ""]
    for result in results:
        parts += [f"- {fault}" for fault in result.faults]
        if not result.passed or result.seen.stage.mark == "published":
            parts += [f"- {case}: {how}: {_note(result.seen, case)}" for case, how in list(result.bad.items())[:10]]
    return "\n".join(parts) + "\n", passed


def replayed(case, seen):
    """One case: what was sent, and what left."""
    parts = [f"{case.name}: {case.note}"]
    for message, reply in zip(case.messages, seen.replies[case.name]):
        shown = {name: value for name, value in message.headers.items() if name != "authorization"}
        parts.append(f"\n--- sent with the key `{message.key}` to {message.path} {shown}\n{message.body.decode()}")
        parts.append(f"\n--- answer: {reply.outcome()}\n{reply.head.decode('latin-1')}\n{reply.body.decode(errors='replace')}")
    for request in seen.crossing.requests:
        parts.append(f"\n--- left\n{request.head.decode('latin-1')}\n\n{request.body.decode(errors='replace')}")
    parts.append(f"\n--- {len(seen.crossing.requests)} requests and {seen.payload} bytes left; leaks: {seen.leaks or 'none'}")
    return "\n".join(parts)
