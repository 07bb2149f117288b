"""The families of sounds that settings are chosen by, and what is usual for each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """What is usual: a ratio, and how much of its crest a compressor takes.

    `share` is the gain reduction (95th percentile) in dB for each dB of crest factor above 12 dB, at most 6 dB.
    """

    ratio: float
    share: float


FAMILIES: dict[str, Family] = {
    "kick": Family(4.0, 0.45),
    "snare": Family(4.0, 0.45),
    "hat": Family(3.0, 0.25),
    "percussion": Family(3.0, 0.35),
    "bass": Family(4.0, 0.5),
    "plucked": Family(3.0, 0.35),
    "keys": Family(2.5, 0.3),
    "pad": Family(2.0, 0.2),
    "lead": Family(3.0, 0.3),
    "wind": Family(2.5, 0.3),
    "voice": Family(3.0, 0.5),
    "ambience": Family(2.0, 0.15),
}
"""Ratios after the compressors of FxNorm-automix (drums 6, bass 5, vocals and others 4), made milder."""

UNKNOWN_FAMILY = Family(2.5, 0.25)
"""Of a sound that no family is known of: any sound of a soundscape."""
