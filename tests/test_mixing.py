"""Panning, sums, sends and ramps of the mix, against its formulas in float64."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dsp.blocks import add_to, delay, fade
from dsp.mixing import OFF_DB, hold_peaks, level_gains
from engine.clips import ClipStore
from engine.events import EventQueue
from engine.inputs import InputRing
from engine.meters import MeterTable
from engine.node import BuildContext, Processor
from engine.nodes.mix import PEAK_FALL_DB_PER_S, RAMP_MS, Mix, Pan
from engine.params import ParamTable
from engine.spec import StreamSpec

Floats = NDArray[np.float64]
Lanes = NDArray[np.float32]

RATE_HZ = 48_000
RAMP_FRAMES = 960
COUNTS = (1, 2, 3, 7, 8, 9, 31, 33, 512)


class Desk:
    """A mix, or the pan before it, with its tables around it."""

    def __init__(
        self,
        panning: list[float],
        send_db: list[float] | None = None,
        mono: list[bool] | None = None,
        *,
        sums: bool = True,
    ) -> None:
        tracks = len(panning)
        node = Mix(
            tuple(f"t{i}" for i in range(tracks)),
            tuple(panning),
            tuple(send_db or [0.0] * tracks),
            tuple(mono or [False] * tracks),
        )
        self.params = ParamTable.of([("mix", node.params)])
        self.meters = MeterTable.of([("mix", node.meters)] if sums else [])
        self.spec = StreamSpec(RATE_HZ, 128)
        maps = self.params.slot_map, self.params.memory, self.meters.slot_map, self.meters.memory
        ctx = BuildContext("mix", self.spec, ClipStore(), (EventQueue(),), InputRing(), *maps)
        self.processor: Processor = node.build(ctx) if sums else Pan(node).build(ctx)
        self.sums = sums

    def run(self, x: Lanes) -> tuple[Lanes, Lanes]:
        """Return (dry, send) of `x`, whose length is a multiple of 128; of a pan (bank, nothing)."""
        dry = np.full((len(x), 2 if self.sums else x.shape[1]), np.nan, np.float32)
        send = np.full((len(x), 2), np.nan, np.float32)
        for at in range(0, len(x), 128):
            part = slice(at, at + 128)
            outs = (dry[part], send[part]) if self.sums else (dry[part],)
            self.processor.process((x[part],), outs, at)
        return dry, send


def noise(frames: int, tracks: int, seed: int = 440) -> Lanes:
    return (0.1 * np.random.default_rng(seed).standard_normal((frames, 2 * tracks))).astype(np.float32)


def doubled(mono: Lanes) -> Lanes:
    """The lanes of tracks that play the same left and right."""
    return np.ascontiguousarray(np.concatenate([mono, mono], axis=1))


def pan_stereo(left: Floats, right: Floats, p: float) -> tuple[Floats, Floats]:
    """W3C Web Audio API 1.1, 1.31.2, StereoPannerNode: steps 2 to 4 for stereo input."""
    x = p + 1.0 if p <= 0.0 else p
    gain_l, gain_r = math.cos(x * math.pi / 2.0), math.sin(x * math.pi / 2.0)
    if p <= 0.0:
        return left + right * gain_l, right * gain_r
    return left * gain_l, right + left * gain_r


def pan_mono(left: Floats, right: Floats, p: float) -> tuple[Floats, Floats]:
    """The same node for mono input, with the centre brought to unity: cos and sin times the root of 2."""
    x = (p + 1.0) / 2.0
    both = math.sqrt(2.0)
    return left * both * math.cos(x * math.pi / 2.0), right * both * math.sin(x * math.pi / 2.0)


def random_desk(tracks: int, *, sums: bool = True) -> tuple[Desk, list[float], list[float], list[bool]]:
    rng = np.random.default_rng(tracks)
    panning = rng.uniform(-1.0, 1.0, tracks).round(3).tolist()
    panning[0] = -1.0
    panning[-1] = 1.0 if tracks > 1 else 0.3
    send_db = rng.uniform(-30.0, 12.0, tracks).tolist()
    send_db[tracks // 2] = OFF_DB
    mono = (rng.random(tracks) < 0.5).tolist()
    return Desk(panning, send_db, mono, sums=sums), panning, send_db, mono


def bank(tracks: int, mono: list[bool], frames: int = 256) -> Lanes:
    x = noise(frames, tracks)
    for t in range(tracks):
        if mono[t]:
            x[:, tracks + t] = x[:, t]
    return x


@pytest.mark.parametrize("tracks", COUNTS)
def test_the_mix_strays_from_its_formulas_in_float64(tracks: int) -> None:
    """1 to 512 tracks sum to dry and send as in float64, to 1e-6 of the loudest sample."""
    desk, panning, send_db, mono = random_desk(tracks)
    x = bank(tracks, mono)
    dry, send = desk.run(x)
    wide = x.astype(np.float64)
    left, right, wet = np.zeros(len(x)), np.zeros(len(x)), np.zeros(len(x))
    for t in range(tracks):
        law = pan_mono if mono[t] else pan_stereo
        a, b = law(wide[:, t], wide[:, tracks + t], panning[t])
        left, right = left + a, right + b
        gain = 10.0 ** (send_db[t] / 20.0) if send_db[t] > OFF_DB else 0.0
        wet = wet + 0.5 * (wide[:, t] + wide[:, tracks + t]) * gain
    for heard, truth in ((dry[:, 0], left), (dry[:, 1], right), (send[:, 0], wet), (send[:, 1], wet)):
        assert np.max(np.abs(heard - truth)) <= 1e-6 * max(1.0, float(np.max(np.abs(truth))))


@pytest.mark.parametrize("tracks", COUNTS)
def test_stems_do_not_add_up_to_the_mix(tracks: int) -> None:
    """The tracks that `pan` writes, summed in float64, are the dry bus to 1e-6 of its loudest sample."""
    desk, _, _, mono = random_desk(tracks)
    stems, _, _, _ = random_desk(tracks, sums=False)
    x = bank(tracks, mono)
    dry, _ = desk.run(x)
    apart = stems.run(x)[0].astype(np.float64)
    total = np.stack([apart[:, :tracks].sum(axis=1), apart[:, tracks:].sum(axis=1)], axis=1)
    assert np.max(np.abs(dry - total)) <= 1e-6 * max(1.0, float(np.max(np.abs(total))))


@settings(max_examples=50, deadline=None)
@given(p=st.floats(-1.0, 1.0))
def test_a_mono_track_gets_louder_at_one_side(p: float) -> None:
    """L² + R² is 2 within 1e-6 at every pan."""
    dry, _ = Desk([p], mono=[True]).run(np.ones((128, 2), np.float32))
    left, right = dry[0].astype(np.float64)
    assert left * left + right * right == pytest.approx(2.0, abs=1e-6)
    assert left >= 0.0
    assert right >= -1e-12


@pytest.mark.parametrize("mono", [True, False])
def test_the_centre_changes_a_bit(mono: bool) -> None:
    """At pan 0 each side passes with gain 1, bit for bit, and nothing crosses over."""
    x = bank(1, [mono], 128)
    dry, _ = Desk([0.0], mono=[mono]).run(x)
    assert np.array_equal(dry, x)


@pytest.mark.parametrize("mono", [True, False])
@pytest.mark.parametrize(("p", "silent"), [(-1.0, 1), (1.0, 0)])
def test_hard_over_leaves_something_on_the_other_side(mono: bool, p: float, silent: int) -> None:
    """Hard left leaves less than -300 dB on the right, and hard right on the left; the rest is on its side."""
    x = bank(1, [mono], 128)
    dry, _ = Desk([p], mono=[mono]).run(x)
    assert np.max(np.abs(dry[:, silent])) < 1e-15
    gained = math.sqrt(2.0) * x[:, 0] if mono else x[:, 0] + x[:, 1]
    assert dry[:, 1 - silent] == pytest.approx(gained, abs=1e-7)


def test_the_law_jumps_at_the_centre() -> None:
    """Both laws have the limit of the centre from either side: 1e-9 beside it differs by less than 1e-6."""
    for mono in (True, False):
        x = bank(1, [mono], 128)
        for p in (-1e-9, 1e-9):
            assert np.max(np.abs(Desk([p], mono=[mono]).run(x)[0] - x)) < 1e-6


def test_the_room_follows_the_pan() -> None:
    """The send of a track is the same bits at every pan, and equal on both its lanes."""
    x = noise(256, 1)
    sends = [Desk([p], [-6.0]).run(x)[1] for p in (-1.0, -0.3, 0.0, 0.8, 1.0)]
    assert all(np.array_equal(send, sends[0]) for send in sends)
    assert np.array_equal(sends[0][:, 0], sends[0][:, 1])
    assert sends[0][:, 0] == pytest.approx(0.5 * (x[:, 0] + x[:, 1]) * 10.0 ** (-6.0 / 20.0), abs=1e-8)


def test_a_send_that_is_off_leaks() -> None:
    """At -90 dB the send is exactly 0; at -89.9 dB it is not."""
    x = noise(128, 1)
    assert np.all(Desk([0.0], [OFF_DB]).run(x)[1] == 0.0)
    assert np.max(np.abs(Desk([0.0], [-89.9]).run(x)[1])) > 0.0


def test_a_fader_that_is_down_leaks() -> None:
    """A level of -90 is a gain of exactly 0 on both lanes; -23 against -23 is 1, -17 against -23 is +6 dB."""
    level_db = np.array([OFF_DB, -23.0, -17.0])
    last, gains = np.full(3, np.nan), np.full(6, np.nan, np.float32)
    assert level_gains(level_db, last, -23.0, gains)
    assert gains[[0, 3]].tolist() == [0.0, 0.0]
    assert gains[[1, 4]].tolist() == [1.0, 1.0]
    assert gains[[2, 5]] == pytest.approx(10.0 ** (6.0 / 20.0), rel=1e-6)
    assert not level_gains(level_db, last, -23.0, gains)
    level_db[1] = -24.0
    assert level_gains(level_db, last, -23.0, gains)
    assert gains[[1, 4]] == pytest.approx(10.0 ** (-1.0 / 20.0), rel=1e-6)


@pytest.mark.parametrize("tracks", COUNTS)
def test_a_silent_track_is_heard(tracks: int) -> None:
    """A silent track in front, within or behind changes dry and send by less than 1e-6."""
    rng = np.random.default_rng(tracks)
    panning, mono = rng.uniform(-1.0, 1.0, tracks).tolist(), [False] * tracks
    x = noise(128, tracks) / np.float32(math.sqrt(tracks))
    before = Desk(panning, mono=mono).run(x)
    for at in {0, tracks // 2, tracks}:
        more = np.insert(x, [at, tracks + at], 0.0, axis=1)
        after = Desk([*panning[:at], 0.5, *panning[at:]], mono=[*mono, False]).run(np.ascontiguousarray(more))
        for one, other in zip(before, after, strict=True):
            assert np.max(np.abs(one - other)) < 1e-6


def steps_of(gain: Lanes) -> Floats:
    return np.abs(np.diff(gain.astype(np.float64), axis=0))


def test_turning_the_pan_clicks() -> None:
    """From left to right no step exceeds 1/960 of the way by more than 1e-4 of it; after 20 ms it has arrived."""
    assert RAMP_MS * RATE_HZ == RAMP_FRAMES * 1000
    desk = Desk([-1.0], mono=[True])
    ones = np.ones((128, 2), np.float32)
    before, _ = desk.run(ones)
    desk.params.set("mix.t0.panning", 1.0)
    dry, _ = desk.run(np.ones((1024, 2), np.float32))
    way = math.sqrt(2.0)
    assert np.max(steps_of(np.concatenate([before[-1:], dry]))) <= way / RAMP_FRAMES + 1e-4 * way
    assert np.all(np.diff(dry[: RAMP_FRAMES - 1, 1]) > 0.0)
    still, _ = Desk([1.0], mono=[True]).run(ones)
    assert np.array_equal(dry[RAMP_FRAMES - 1], still[0])
    assert not np.array_equal(dry[RAMP_FRAMES - 2], still[0])
    assert np.all(dry[RAMP_FRAMES:] == still[0])


def test_turning_a_send_clicks() -> None:
    """From +12 dB to off no step exceeds 1/960 of the way by more than 1e-4 of it; it ends at exactly 0."""
    desk = Desk([0.0], [12.0])
    before = desk.run(np.ones((128, 2), np.float32))[1]
    desk.params.set("mix.t0.send_db", OFF_DB)
    send = desk.run(np.ones((1024, 2), np.float32))[1]
    way = 10.0 ** (12.0 / 20.0)
    assert np.max(steps_of(np.concatenate([before[-1:], send]))) <= way / RAMP_FRAMES + 1e-4 * way
    assert np.all(send[RAMP_FRAMES - 1 :] == 0.0)


@settings(max_examples=30, deadline=None)
@given(
    turns=st.lists(st.tuples(st.integers(0, 9), st.floats(-1.0, 1.0)), min_size=1, max_size=6),
    mono=st.booleans(),
)
def test_turning_again_before_it_has_arrived_clicks(turns: list[tuple[int, float]], mono: bool) -> None:
    """However the pan is turned, no gain steps by more than its full range over 960 frames; it ends exact."""
    desk = Desk([0.0], mono=[mono])
    heard = []
    for quanta, p in turns:
        heard.append(desk.run(np.ones((128 * (1 + quanta), 2), np.float32))[0])
        desk.params.set("mix.t0.panning", p)
    heard.append(desk.run(np.ones((1152, 2), np.float32))[0])
    # With 1 on both lanes a side is at most 2 (stereo) or the root of 2 (mono), and at least 0.
    assert np.max(steps_of(np.concatenate(heard))) <= 2.0 / RAMP_FRAMES + 1e-4
    still, _ = Desk([turns[-1][1]], mono=[mono]).run(np.ones((128, 2), np.float32))
    assert np.array_equal(heard[-1][-1], still[-1])


def test_turning_one_track_moves_another() -> None:
    """While track 0 ramps, track 1 stays at its place bit for bit."""
    desk = Desk([0.0, 0.4], mono=[False, False], sums=False)
    x = np.ones((1024, 4), np.float32)
    still, _ = desk.run(x)
    desk.params.set("mix.t0.panning", -0.7)
    moving, _ = desk.run(x)
    assert np.array_equal(moving[:, [1, 3]], still[:, [1, 3]])
    assert not np.array_equal(moving[:, [0, 2]], still[:, [0, 2]])


def test_stems_ramp_otherwise_than_the_mix() -> None:
    """While a pan of one track moves, its stem is the dry bus bit for bit."""
    x = noise(1152, 1)
    outs = []
    for sums in (True, False):
        desk = Desk([0.0], sums=sums)
        desk.run(x[:128])
        desk.params.set("mix.t0.panning", 0.9)
        outs.append(desk.run(x)[0])
    assert np.array_equal(outs[0], outs[1])


def test_the_input_is_written_to() -> None:
    """The bank is the same bytes after the mix."""
    desk, _, _, mono = random_desk(9)
    x = bank(9, mono)
    before = x.tobytes()
    desk.run(x)
    assert x.tobytes() == before


def test_a_peak_is_missed_or_falls_at_another_speed() -> None:
    """The meter shows the higher lane's peak at once, then falls 24 dB in a second."""
    desk = Desk([0.0, 0.0])
    x = np.zeros((RATE_HZ, 4), np.float32)
    x[77, [0, 2]] = 0.25, -0.75
    desk.run(x[:128])
    assert desk.meters.read("mix", "peak").tolist() == [0.75, 0.0]
    desk.run(x[128:])
    fallen_db = 20.0 * math.log10(desk.meters.read("mix", "peak")[0] / 0.75)
    assert PEAK_FALL_DB_PER_S == 24.0
    assert fallen_db == pytest.approx(-24.0, abs=0.1)


def test_a_falling_peak_becomes_denormal() -> None:
    """Below 1e-9 a peak is 0."""
    peaks = np.array([1e-9, 2e-9])
    hold_peaks(np.zeros((16, 4), np.float32), peaks, 0.9)
    assert peaks[0] == 0.0
    assert peaks[1] == pytest.approx(1.8e-9, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(length=st.integers(1, 300), cuts=st.lists(st.integers(1, 80), min_size=1, max_size=8))
def test_a_delay_is_off_by_a_frame_at_its_wrap(length: int, cuts: list[int]) -> None:
    """In any blocks the output is the input `length` frames later, bit for bit."""
    x = noise(sum(cuts), 1)
    y, line, at, frame = np.empty_like(x), np.zeros((length, 2), np.float32), 0, 0
    for cut in cuts:
        at = delay(x[frame : frame + cut], y[frame : frame + cut], line, at)
        frame += cut
    assert np.array_equal(y, np.concatenate([np.zeros((length, 2), np.float32), x])[: len(x)])


def test_a_fade_depends_on_the_quantum_or_leaves_a_step() -> None:
    """A raised cosine from exactly 1 to exactly 0; in and out add up to 1 within 1e-6; any blocks give one result."""
    length = 500
    out, rising = np.ones((700, 2), np.float32), np.ones((700, 2), np.float32)
    fade(out, -100, length, True)
    for at in range(0, 700, 28):
        fade(rising[at : at + 28], at - 100, length, False)
    assert np.all(out[:101] == 1.0)
    assert np.all(out[600:] == 0.0)
    cosine = 0.5 + 0.5 * np.cos(np.pi * np.clip(np.arange(700) - 100, 0, length) / length)
    assert out == pytest.approx(np.stack([cosine, cosine], axis=1), abs=1e-6)
    assert out + rising == pytest.approx(np.ones((700, 2)), abs=1e-6)


def test_a_sum_loses_a_lane() -> None:
    """Each lane of y grows by that of x, bit for bit."""
    x, y = noise(64, 3, 1), noise(64, 3, 2)
    total = y + x
    add_to(x, y)
    assert np.array_equal(y, total)
