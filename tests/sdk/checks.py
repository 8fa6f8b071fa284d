"""Runs a script's checks and tells of each in a line."""

import sys

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def check_where(condition):
    """A check that is made only where the condition holds."""
    return check if condition else lambda function: function


def run(sdk):
    """Runs all checks of `sdk`; exit status 1 if any failed."""
    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        try:
            print(f"ok      {sdk}: {name}" + (f" ({detail})" if (detail := function()) else ""))
        except Exception as error:
            failed += 1
            print(f"FAILED  {sdk}: {name}: {type(error).__name__}: {error}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(failed > 0)
