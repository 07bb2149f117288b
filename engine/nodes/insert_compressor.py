"""InsertCompressors: pedalboard's compressor on those tracks of a bank that have one; all others pass bit for bit."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dsp.ramp import LaneRamp
from dsp.units import amplitude_to_db, db_to_amplitude, ms_to_frames
from engine.errors import GraphError
from engine.meters import Meter
from engine.node import BuildContext, Processor
from engine.nodes.bank import TrackBank
from engine.nodes.compressor import Compression
from engine.params import Param
from engine.spec import Block

RAMP_MS = 20.0
"""How long a change of gain takes."""


class Insert(NamedTuple):
    """The settings of one compressor: threshold in dBFS of the track as it comes, times in pedalboard's sense.

    pedalboard's attack and release are 2 pi one-pole time constants.
    """

    track: str
    threshold_db: float
    ratio: float
    attack_ms: float
    release_ms: float
    gain_db: float


@dataclass(frozen=True)
class InsertCompressors(TrackBank):
    """Hard-knee compressors, each channel with an envelope of its own, and a gain behind each.

    Raises GraphError for a setting out of range, and for an insert on a track that is not of the bank or has one.
    """

    inserts: tuple[Insert, ...]

    def __post_init__(self) -> None:
        for track in self._keys:
            if self._keys.count(track) > 1 or track not in self.tracks:
                raise GraphError(f"insert: {track} is not one track of the bank with one compressor")
        for p in self.params:
            for track, value in zip(p.keys, p.defaults, strict=True):
                if not p.lo <= value <= p.hi:
                    raise GraphError(f"insert: {p.name} of {track} is {value}, must be {p.lo:g} to {p.hi:g}")

    @property
    def _keys(self) -> tuple[str, ...]:
        return tuple(insert.track for insert in self.inserts)

    @property
    def params(self) -> tuple[Param, ...]:
        """What can be turned live, of each track that has a compressor."""
        _, threshold, ratio, attack, release, gain = zip(*self.inserts, strict=True)
        keys = self._keys
        return (
            Param("threshold_db", "dBFS", -90.0, 24.0, threshold, "level above which it turns down", keys),
            Param("ratio", "", 1.0, 20.0, ratio, "dB in for one dB out, above the threshold", keys),
            Param("attack_ms", "ms", 0.1, 1000.0, attack, "how fast it turns down, 2 pi times", keys, "log"),
            Param(
                "release_ms", "ms", 10.0, 20_000.0, release, "how fast it lets go, 2 pi times", keys, "log"
            ),
            Param("gain_db", "dB", -24.0, 24.0, gain, "gain behind it", keys),
        )

    @property
    def meters(self) -> tuple[Meter, ...]:
        """How far each compressor turns down."""
        about = "peak behind the compressor over the peak before it in a quantum, 0 or below"
        return (Meter("reduction_db", "dB", about, self._keys),)

    def build(self, ctx: BuildContext) -> "InsertCompressorsProcessor":
        """Make the processor."""
        return InsertCompressorsProcessor(self, ctx)


class InsertCompressorsProcessor(Processor):
    """The tracks that leave the bank, one after the other, and come back."""

    def __init__(self, node: InsertCompressors, ctx: BuildContext) -> None:
        self._keys = tuple(insert.track for insert in node.inserts)
        self._units = tuple(_Unit(node, ctx, i) for i in range(len(node.inserts)))
        self._reduction_db = ctx.meter("reduction_db")
        self._moves: tuple[tuple[_Unit, _Unit], ...] = ()

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        x, y = ins[0], outs[0]
        y[:] = x
        for i, unit in enumerate(self._units):
            self._reduction_db[i] = amplitude_to_db(unit.process(x, y))

    def reset(self) -> None:
        for unit in self._units:
            unit.reset()
        self._reduction_db.fill(0.0)

    def heal(self, port: int, lanes: NDArray[np.bool_]) -> None:
        for unit in self._units:
            if lanes[unit.left] or lanes[unit.right]:
                unit.reset()

    def can_adopt(self, old: Processor) -> bool:
        if not isinstance(old, InsertCompressorsProcessor):
            return False
        before = dict(zip(old._keys, old._units, strict=True))
        self._moves = tuple(
            (unit, before[key])
            for key, unit in zip(self._keys, self._units, strict=True)
            if key in before and unit.can_adopt(before[key])
        )
        # A compressor that comes or goes would jump: both banks play while one fades into the other.
        return len(self._moves) == len(self._keys) == len(old._keys)

    def adopt(self, old: Processor) -> None:
        for unit, before in self._moves:
            unit.adopt(before)


class _Unit:
    """One compressor, the gain behind it, and the two lanes of its track."""

    def __init__(self, node: InsertCompressors, ctx: BuildContext, place: int) -> None:
        self.left = node.tracks.index(node.inserts[place].track)
        self.right = self.left + len(node.tracks)
        names = ("threshold_db", "ratio", "attack_ms", "release_ms")
        slots = tuple(ctx.param(name)[place : place + 1] for name in names)
        self._gain_db = ctx.param("gain_db")[place : place + 1]
        self._compression = Compression(ctx.spec, slots, 1.0)
        self._taken, self._made = (np.zeros((ctx.spec.quantum_frames, 2), np.float32) for _ in range(2))
        self._ramp = LaneRamp(2, max(1, ms_to_frames(RAMP_MS, ctx.spec.rate_hz)))
        self._gains = np.ones(2, np.float32)
        self._last_db = np.nan

    def process(self, x: Block, y: Block) -> float:
        """Write what comes of the track's lanes in x to those in y; return how far the peak was turned down."""
        taken, made, left, right = self._taken, self._made, self.left, self.right
        taken[:, 0] = x[:, left]
        taken[:, 1] = x[:, right]
        reduction = self._compression.process(taken, made)
        if self._gain_db[0] != self._last_db:
            self._turn(float(self._gain_db[0]))
        self._ramp.apply(made, made)
        y[:, left] = made[:, 0]
        y[:, right] = made[:, 1]
        return reduction

    def _turn(self, gain_db: float) -> None:
        begun = self._last_db == self._last_db
        self._last_db = gain_db
        self._gains.fill(db_to_amplitude(gain_db))
        if begun:
            self._ramp.set_targets(self._gains)
        else:
            self._ramp.jump_to(self._gains)

    def reset(self) -> None:
        """Go back to silence."""
        self._compression.reset()
        self._last_db = np.nan

    def can_adopt(self, old: "_Unit") -> bool:
        """Say whether `old` can go on here."""
        return self._compression.can_adopt(old._compression)

    def adopt(self, old: "_Unit") -> None:
        """Go on where `old` left off."""
        self._compression.adopt(old._compression)
        self._last_db = old._last_db
        self._gains[:] = old._gains
        self._ramp.jump_to(self._gains)
        for lane in range(2):
            self._ramp.resume(lane, old._ramp, lane)
