"""What a run shows, for people."""

import bounds


def line(result):
    """One stage in one line."""
    seen = result.seen
    words = [f"{seen.stage.tier}/{seen.stage.name}: {seen.trials} trials, {len(result.leaks)} leaks, {seen.bodies} bodies outside"]
    words += result.notes + [f"{how}: {case}" for case, how in list(result.leaks.items())[:3]] + result.faults[:3]
    return "; ".join(words)


def outcomes(seen):
    """Kinds of outcomes, most frequent first."""
    return ", ".join(f"{kind} {count}" for kind, count in seen.outcomes.most_common())


def markdown(results, arguments, seconds):
    """The whole report, and whether all passed."""
    passed = not any(result.leaks or result.faults for result in results)
    rows = ["| Stage | trials | leaks | at most (95 %) | outcomes |", "|---|---|---|---|---|"]
    for result in results:
        seen, leaks = result.seen, len(result.leaks)
        bound = f"{bounds.upper(leaks, seen.trials):.3%}"
        rows.append(f"| {seen.stage.tier}/{seen.stage.name} | {seen.trials} | {leaks} | {bound} | {outcomes(seen)} |")
    verdict = "passed" if passed else "FAILED"
    head = f"Leak rig, {arguments.form} form, seed {arguments.seed}: {verdict} in {seconds:.0f} s."
    return "\n".join([head, "", *rows]) + "\n", passed


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
