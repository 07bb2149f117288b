"""Loads as they are put on stage: built, and warm."""

from collections.abc import Iterable

from benchmarks.bench.load import Advance, Load
from benchmarks.workload import Stage
from dsp.denormals import denormals_flushed
from engine.errors import GraphError, InputError, Problem
from engine.nodes.players import TRACK_NUMBERS

WARM_S = 0.5
"""Sound until all bells have reached their depth."""


def build(load: Load) -> Stage:
    """Build one; raises GraphError if it does not fit into an engine."""
    if load.tracks > TRACK_NUMBERS:
        raise GraphError(f"an engine has {TRACK_NUMBERS} track numbers")
    return Stage(load.tracks, load.quantum_frames, load.rate_hz)


def warm_stages(loads: Iterable[Load], advance: Advance) -> dict[Load, Stage]:
    """Build all, then play them until everything works that is going to.

    Raises InputError for one that does not fit into an engine.
    """
    stages: dict[Load, Stage] = {}
    for load in loads:
        try:
            stages[load] = build(load)
        except GraphError as refusal:
            raise InputError(Problem(f"{load.tracks} tracks", str(refusal), "--tracks")) from None
    with denormals_flushed():
        for number, (load, stage) in enumerate(stages.items()):
            advance(load.name, number / len(stages))
            stage.feed(round(WARM_S * load.rate_hz))
            for _ in range(load.quanta(WARM_S)):
                stage.render()
    return stages
