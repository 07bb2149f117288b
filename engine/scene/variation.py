"""How the events of one track differ from each other: in level, in place, and in the rate they are played at."""

import math
from typing import NamedTuple

from dsp.units import db_to_amplitude
from engine.events import Event

LEVEL_DB = 1.5
"""An event is at most this much louder or softer than its track."""

PANNING = 0.1
"""An event lies at most this far from its track's panning."""

RATE = 0.03
"""An event is played at most this much faster or slower, and with that higher or lower."""

MOST_RATES = 5
FEWER_RATES = 3
"""Rates, spread evenly, at which a sound is made ready that is the only one of its track, or one of several."""

LONGEST_S = 15.0
"""A longer sound is played at its own rate only: its soundings at others would take too much memory."""

MOST_RATED, MOST_RATED_BYTES = 512, 512 << 20
"""How many soundings at other rates a scene has, and what they take together; a sound for whose there is no room left
is played at its own rate only."""

MOST_RATIO = math.sqrt(2.0)
"""No lane is made louder than the other by more: at a hard pan it would have to be without end."""


class Variation(NamedTuple):
    """How much of it there is, 0 (none) to 1, on a track with its panning and its panning law."""

    amount: float = 0.0
    panning: float = 0.0
    mono: bool = True


STEADY = Variation()
"""They do not differ."""


def rates(amount: float, alternatives: int) -> tuple[float, ...]:
    """Return the rates besides 1 that each of so many alternatives is made ready at, lowest first."""
    half = (MOST_RATES if alternatives == 1 else FEWER_RATES) // 2
    spread = [RATE * amount * step / half for step in range(-half, half + 1) if step]
    return tuple(1.0 + part for part in spread) if amount > 0.0 else ()


def percent(rate: float) -> str:
    """Return a rate as it is told: +1.5%."""
    return f"{100.0 * (rate - 1.0):+.3g}%"


def varied(event: Event, variation: Variation, level: float, place: float) -> Event:
    """Return `event` at another level and place, as drawn: `level` and `place` each 0 to 1, without effect at 0.5."""
    level_db = LEVEL_DB * variation.amount * (2.0 * level - 1.0)
    moved = PANNING * variation.amount * (2.0 * place - 1.0)
    balance, gain = moved_by(moved, variation.panning, variation.mono)
    return event._replace(gain=event.gain * gain * db_to_amplitude(level_db), balance=balance)


def moved_by(moved: float, panning: float, mono: bool) -> tuple[float, float]:
    """Return the balance of an event, and its gain, that the track's `panning` makes into `panning` + `moved`.

    Mono: exactly what the panning law gives there. Stereo: what is in the middle of the sound is heard where a mono
    sound of that panning would be, and the power of sides without correlation is kept. The ratio of the lanes stays
    below 3 dB, so beyond a panning of 0.6, or 0.4
    for a stereo track, an event may move less, and at a hard pan it does not.
    """
    if moved == 0.0 or abs(panning) >= 1.0:
        return 0.0, 1.0
    if not mono and panning < 0.0:
        balance, gain = moved_by(-moved, -panning, mono)
        return -balance, gain
    now = (panning + 1.0) * math.pi / 4.0
    aim = (min(1.0, max(-1.0, panning + moved)) + 1.0) * math.pi / 4.0
    if mono:
        ratio = math.tan(aim) / math.tan(now)
    else:
        # The law folds sin(theta) of the left side into the right one and leaves cos(theta) of it.
        theta = panning * math.pi / 2.0
        ratio = math.tan(aim) * math.cos(theta) - math.sin(theta)
    ratio = min(MOST_RATIO, max(1.0 / MOST_RATIO, ratio))
    balance = (ratio - 1.0) / (ratio + 1.0)
    left, right = (math.cos(now), math.sin(now)) if mono else (math.sqrt(0.5), math.sqrt(0.5))
    return balance, 1.0 / math.hypot((1.0 - balance) * left, (1.0 + balance) * right)
