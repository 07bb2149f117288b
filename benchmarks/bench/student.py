"""Student's t distribution, because scipy would be a dependency for one number."""

import math

MOST_STEPS = 500
PRECISION = 1e-15


def quantile(probability: float, freedom: float) -> float:
    """Return t with P(T <= t) = `probability` (over 0.5, under 1) for `freedom` > 0 degrees of freedom.

    Relative error below 1e-9 for tails above 1e-12. Source: Abramowitz & Stegun 26.7.1 and 26.5.8.
    """
    tail = 2.0 * (1.0 - probability)
    low, high = 0.0, 1.0
    while _two_tails(high, freedom) > tail:
        low, high = high, 2.0 * high
    t = high
    for _ in range(MOST_STEPS):
        found = _two_tails(t, freedom)
        low, high = (t, high) if found > tail else (low, t)
        following = high
        if found > 0.0:
            # Newton's step for the logarithm of the tail over that of t, which is almost a straight line.
            following = t * math.exp(math.log(found / tail) * found / (2.0 * t * _density(t, freedom)))
        if not low < following < high:
            following = 0.5 * (low + high)
        if abs(following - t) <= 1e-13 * t:
            break
        t = following
    return t


def _density(t: float, freedom: float) -> float:
    half = 0.5 * freedom
    constant = math.exp(math.lgamma(half + 0.5) - math.lgamma(half)) / math.sqrt(math.pi * freedom)
    return constant * math.exp(-(half + 0.5) * math.log1p(t * t / freedom))


def _two_tails(t: float, freedom: float) -> float:
    """P(|T| > t): the incomplete beta function at v / (v + t²) of v/2 and 1/2."""
    return _beta(freedom / (freedom + t * t), t * t / (freedom + t * t), 0.5 * freedom, 0.5)


def _beta(x: float, rest: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function of x, with `rest` = 1 - x to full precision."""
    if x <= 0.0 or rest <= 0.0:
        return 0.0 if x <= 0.0 else 1.0
    front = a * math.log(x) + b * math.log(rest) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    if x < (a + 1.0) / (a + b + 2.0):
        return math.exp(front) * _fraction(x, a, b) / a
    return 1.0 - math.exp(front) * _fraction(rest, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Evaluate the continued fraction of the incomplete beta function (modified Lentz)."""
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, MOST_STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0)),
        ):
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + term / c
            c = c if abs(c) > tiny else tiny
            value *= d * c
        if abs(d * c - 1.0) < PRECISION:
            break
    return value
