"""Offline analysis of tracks: who masks whom, when, in which bands. A second opinion on the engine's own model.

It shares the band table and the published constants of `dsp.bark` with the streaming model, and none of its filters,
smoothing or weights.
"""

from dsp.stft import BandEnergies
from engine.analysis.pairs import Exchange, Masked, Masking, analyse, pair_map, weights
from engine.analysis.stems import Tracks, read_stems

__all__ = [
    "BandEnergies",
    "Exchange",
    "Masked",
    "Masking",
    "Tracks",
    "analyse",
    "pair_map",
    "read_stems",
    "weights",
]
