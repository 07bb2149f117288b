"""The definition of a synth that does what the task asks for one track."""

from collections.abc import Sequence

from benchmarks.peers.synthdef import AUDIO, CONTROL, SQUARED, SUM, SynthDef, Wire
from benchmarks.peers.task import Bell, Section, Task

CHECKED_OUTPUTS = 2
"""Audio buses before the energies in a check: left and right."""


def track(name: str, task: Task, bells: Sequence[Bell], energies_to: int) -> SynthDef:
    """Return a track of noise: both channels through the bells, which move, to audio bus 0.

    The energies of the mono sum go to control buses from `energies_to` on.
    """
    made = SynthDef(name)
    left, right = made.sound("WhiteNoise"), made.sound("WhiteNoise")
    made.unit("Out", CONTROL, [float(energies_to), *_energies(made, task, left, right)], outputs=0)
    swing_hz = task.rate_hz / (2.0 * task.period_frames)
    swing = made.unit("LFTri", CONTROL, [swing_hz, 0.0])[0]
    amounts = [_amount(made, bell, swing) for bell in bells]
    sides = [_rung(made, side, bells, amounts) for side in (left, right)]
    made.unit("Out", AUDIO, [0.0, *sides], outputs=0)
    return made


def checked_track(name: str, task: Task, bells: Sequence[Bell]) -> SynthDef:
    """Return the same with the server's stereo input instead of noise, for a server of 2 + bands outputs.

    The bells keep the depth they come from; the energies are heard on the outputs behind the first two.
    """
    made = SynthDef(name)
    left, right = made.unit("In", AUDIO, [float(CHECKED_OUTPUTS + len(task.bands))], outputs=2)
    energies = _energies(made, task, left, right)
    still = made.unit("LFTri", CONTROL, [0.0, 0.0])[0]
    amounts = [_amount(made, bell, still) for bell in bells]
    sides = [_rung(made, side, bells, amounts) for side in (left, right)]
    made.unit("Out", AUDIO, [0.0, *sides, *energies], outputs=0)
    return made


def silent_track(name: str) -> SynthDef:
    """Return a track of noise without filters."""
    made = SynthDef(name)
    made.unit("Out", AUDIO, [0.0, made.sound("WhiteNoise"), made.sound("WhiteNoise")], outputs=0)
    return made


def _energies(made: SynthDef, task: Task, left: Wire, right: Wire) -> list[Wire]:
    mono = made.sound("BinaryOpUGen", left, right, special=SUM)
    energies = []
    for band in task.bands:
        # l + r instead of half of it, and a leaky sum instead of a mean: a factor, put into the second section.
        factor = 0.5 * (band.weight * (1.0 - band.decay)) ** 0.5
        once = _section(made, mono, band.first, band.first.scale)
        twice = _section(made, once, band.second, band.second.scale * factor)
        energies.append(
            made.sound("Integrator", made.sound("UnaryOpUGen", twice, special=SQUARED), band.decay)
        )
    return energies


def _section(made: SynthDef, x: Wire, section: Section, scale: float) -> Wire:
    return made.sound("SOS", x, scale, 0.0, -scale, -section.a1, -section.a2)


def _amount(made: SynthDef, bell: Bell, swing: Wire) -> Wire:
    """Return -(1 - G) k, once per block, which goes from one depth to the other as `swing` goes from 0 to 1."""
    begin, end = (-bell.amount(depth_db) / bell.section.scale for depth_db in (bell.from_db, bell.to_db))
    return made.unit("MulAdd", CONTROL, [swing, end - begin, begin])[0]


def _rung(made: SynthDef, x: Wire, bells: Sequence[Bell], amounts: Sequence[Wire]) -> Wire:
    for bell, amount in zip(bells, amounts, strict=True):
        x = made.sound("MulAdd", _section(made, x, bell.section, bell.section.scale), amount, x)
    return x
