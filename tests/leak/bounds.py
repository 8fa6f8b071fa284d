"""How far a rate that was seen bounds the true one."""

import math


def upper(hits, trials, confidence=0.95):
    """The Clopper-Pearson upper bound, one-sided: with no hit about three in `trials`."""
    if trials == 0 or hits >= trials:
        return 1.0
    low, high = hits / trials, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(hits, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(hits, trials, rate):
    """The probability of at most so many hits."""
    if rate in (0.0, 1.0):
        return 1.0 if rate == 0.0 else 0.0
    logs = [math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * math.log(rate)
            + (trials - k) * math.log1p(-rate) for k in range(hits + 1)]
    return math.fsum(map(math.exp, logs))
