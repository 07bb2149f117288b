"""Events that differ: by too much, in another place than told, at another rate, or where they should not."""

import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq

from dsp.clip_loudness import measure_clip
from engine.control.bounce import bounce
from engine.events import Event
from engine.scene import shelf, variation
from engine.scene.composition import Composition, compose
from engine.scene.load import loads
from engine.scene.schedule import Clip, track_events, track_generator
from engine.scene.schema import Once, Random, Schedule
from engine.scene.variation import STEADY, Variation, moved_by, rates

RATE_HZ = 48_000


def events(schedule: Schedule, clips: list[Clip], variation: Variation, count: int = 500) -> list[Event]:
    generator = track_generator(3, "owl")
    stream = track_events(schedule, 0, clips, generator, 10**6, RATE_HZ, None, variation)
    return list(islice(stream, count))


AGAIN = Random(kind="random", gap=(0.5, 2.0))


@pytest.mark.parametrize("amount", [1.0, 0.3])
def test_levels_and_places_leave_their_range_or_do_not_fill_it(amount: float) -> None:
    """Of 500 events levels are within 1.5 dB and panning within 0.1, times the amount, and 2 % from it."""
    made = events(AGAIN, [Clip(0, 1000, 0.5)], Variation(amount, 0.0, True))
    angles = np.array([np.arctan2(1.0 + e.balance, 1.0 - e.balance) for e in made])
    moved = angles * 4.0 / np.pi - 1.0
    powers = np.array([e.gain**2 * ((1 - e.balance) ** 2 + (1 + e.balance) ** 2) / 2.0 for e in made])
    levels_db = 10.0 * np.log10(powers / 0.25)
    for found, most in ((moved, 0.1 * amount), (levels_db, 1.5 * amount)):
        assert 0.98 * most < -found.min() <= most + 1e-12
        assert 0.98 * most < found.max() <= most + 1e-12
    assert abs(np.corrcoef(moved, levels_db)[0, 1]) < 0.1


def test_how_much_varies_moves_the_times() -> None:
    """The starts of 500 events are the same with an amount of 0, 0.5 and 1; with 0 all events are whole and plain."""
    clips = [Clip(0, 1000, 0.5), Clip(1, 900, 0.25)]
    still, half, full = (events(AGAIN, clips, Variation(a, 0.3, True)) for a in (0.0, 0.5, 1.0))
    assert [e.start_frame for e in still] == [e.start_frame for e in half] == [e.start_frame for e in full]
    assert {(e.clip, e.gain, e.balance) for e in still} == {(0, 0.5, 0.0), (1, 0.25, 0.0)}
    assert len({e.gain for e in full}) == 500


def test_a_sound_heard_once_varies_without_being_asked() -> None:
    """Its one event is the clip as it is; with an amount of 1 it has another level and place."""
    clip = Clip(0, 1000, 0.5)
    (plain,) = events(Once(at=1.0), [clip], STEADY)
    (other,) = events(Once(at=1.0), [clip], Variation(1.0, 0.0, True))
    assert (plain.gain, plain.balance) == (0.5, 0.0)
    assert other.gain != 0.5
    assert other.balance != 0.0


@given(panning=st.floats(-1.0, 1.0), moved=st.floats(-0.1, 0.1), mono=st.booleans())
def test_a_moved_event_is_louder_or_turns_to_the_other_side(panning: float, moved: float, mono: bool) -> None:
    """Lanes differ by 3.02 dB at most, in the direction it is moved to, and the power after panning is kept to 1e-9."""
    balance, gain = moved_by(moved, panning, mono)
    left, right = gain * (1.0 - balance), gain * (1.0 + balance)
    assert balance * moved >= 0.0 or not mono
    assert 20.0 * abs(np.log10(right / left)) < 3.02
    angle = (panning + 1.0) * np.pi / 4.0
    sides = (np.cos(angle), np.sin(angle)) if mono else (np.sqrt(0.5), np.sqrt(0.5))
    assert np.hypot(left * sides[0], right * sides[1]) == pytest.approx(1.0, abs=1e-9)


def panned(panning: float, mono: bool, lanes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The panning laws of the W3C Web Audio API 1.1, 1.31: left and right of a sound's two lanes."""
    left, right = lanes
    if mono:
        angle = (panning + 1.0) * np.pi / 4.0
        return np.array([np.sqrt(2.0) * np.cos(angle) * left, np.sqrt(2.0) * np.sin(angle) * right])
    angle = (panning + 1.0 if panning <= 0.0 else panning) * np.pi / 2.0
    if panning <= 0.0:
        return np.array([left + right * np.cos(angle), right * np.sin(angle)])
    return np.array([left * np.cos(angle), right + left * np.sin(angle)])


@pytest.mark.parametrize("mono", [True, False])
@pytest.mark.parametrize("panning", [-0.6, -0.4, -0.2, 0.0, 0.05, 0.3, 0.4, 0.6])
@pytest.mark.parametrize("moved", [-0.1, -0.03, 0.02, 0.1])
def test_an_event_lies_beside_where_it_was_moved_to(panning: float, moved: float, mono: bool) -> None:
    """Its sides are those of the law at panning + moved, to 1e-9: mono to ±0.6; of a stereo sound's middle to ±0.4."""
    if not mono and abs(panning) > 0.4:
        return
    balance, gain = moved_by(moved, panning, mono)
    got = panned(panning, mono, gain * np.array([1.0 - balance, 1.0 + balance]))
    expected = panned(panning + moved, mono, np.array([1.0, 1.0]))
    if not mono:
        got, expected = got / np.hypot(*got), expected / np.hypot(*expected)
    assert got == pytest.approx(expected, abs=1e-9)


def test_the_room_hears_events_louder_that_are_moved() -> None:
    """What a mono event sends to the room, half the sum of its lanes, is off by 0.05 dB at the centre, 1.7 anywhere."""

    def send_db(panning: float) -> float:
        return max(abs(20.0 * math.log10(moved_by(m, panning, True)[1])) for m in (-0.1, 0.1))

    assert send_db(0.0) < 0.05
    assert send_db(0.5) < 1.0
    assert max(send_db(p) for p in np.linspace(-1.0, 1.0, 201)) < 1.7


def test_rates_are_not_spread_evenly() -> None:
    """Beside its own rate a sound alone has 0.97, 0.985, 1.015, 1.03, one of several 0.97 and 1.03; half is half."""
    assert rates(1.0, 1) == pytest.approx((0.97, 0.985, 1.015, 1.03), abs=1e-12)
    assert rates(1.0, 3) == pytest.approx((0.97, 1.03), abs=1e-12)
    assert rates(0.5, 2) == pytest.approx((0.985, 1.015), abs=1e-12)
    assert rates(0.0, 1) == ()


def tone(folder: Path, name: str, seconds: float = 0.5, hz: float = 1000.0, channels: int = 1) -> None:
    wave = 0.25 * np.sin(2.0 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    soundfile.write(folder / name, np.repeat(wave[:, None], channels, axis=1), RATE_HZ, subtype="FLOAT")


def ready(folder: Path, text: str) -> Composition:
    head = "seed: 4\nloudness: off\nreduction_db: 0\nduration: 20\npredict: false\n"
    head += "atmo: {sound: still.wav, level_db: -60}\nobjects:\n  - "
    return compose(loads(head + text, folder=folder), rate_hz=RATE_HZ)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tone(tmp_path, "tone.wav")
    tone(tmp_path, "wide.wav", channels=2)
    tone(tmp_path, "long.wav", 15.1)
    tone(tmp_path, "low.wav", hz=500.0)
    soundfile.write(
        tmp_path / "still.wav", np.random.default_rng(1).normal(0.0, 1e-2, RATE_HZ), RATE_HZ, subtype="FLOAT"
    )
    return tmp_path


def test_a_sounding_has_another_pitch_length_or_level_than_its_rate(folder: Path) -> None:
    """A tone of 1 kHz is heard at 970, 985, 1000, 1015 and 1030 Hz within 1 Hz, as long as that takes, and as loud."""
    made = ready(folder, "{label: a, sound: tone.wav, schedule: {kind: random, gap: [0.1, 0.3]}}")
    names = [m.source for m in made.materials[1:]]
    assert names == ["tone.wav", "tone.wav@-3%", "tone.wav@-1.5%", "tone.wav@+1.5%", "tone.wav@+3%"]
    track = made.tracks[1]
    assert len({clip.gain for clip in track.clips}) == 1
    for clip, rate in zip(track.clips, (1.0, 0.97, 0.985, 1.015, 1.03), strict=True):
        samples = made.materials[clip.number].samples
        assert clip.frames == len(samples) == pytest.approx(24_000 / rate, abs=1)
        spectrum = np.abs(np.fft.rfft(samples[:, 0] * np.hanning(len(samples)), 2**20))
        assert spectrum.argmax() * RATE_HZ / 2**20 == pytest.approx(1000.0 * rate, abs=1.0)
        assert np.array_equal(samples[:, 0], samples[:, 1])
        assert np.sqrt(np.mean(samples[2000:-2000] ** 2)) == pytest.approx(0.25 / np.sqrt(2.0), rel=0.002)
    heard = {e.clip for e in islice(made.streams()[1], 100)}
    assert heard == {clip.number for clip in track.clips}
    assert made.duration_frames == 20 * RATE_HZ


@pytest.mark.parametrize(
    "rest",
    [
        "long.wav, schedule: {kind: random, gap: [1, 2]}}",
        "tone.wav, vary: 0, schedule: {kind: random, gap: [1, 2]}}",
        "tone.wav, vary: 1}",
        "tone.wav, schedule: {kind: loop}}",
    ],
)
def test_a_sound_is_made_at_rates_that_are_never_heard(rest: str, folder: Path) -> None:
    """A sound over 15 s, one that does not vary, one heard once and a loop are made ready at their own rate alone."""
    assert len(ready(folder, "{label: a, sound: " + rest).materials) == 2


def test_soundings_at_other_rates_take_memory_without_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for those of one sound, the first has 4, the second none; a scene has at most 512, of 512 MiB."""
    assert (variation.MOST_RATED, variation.MOST_RATED_BYTES) == (512, 512 << 20)
    text = "{label: a, sound: tone.wav, schedule: {kind: random, gap: [1, 2]}}\n"
    more = "  - {label: b, sound: low.wav, schedule: {kind: random, gap: [1, 2]}}"
    alone = ready(folder, text)
    for limit, room in (("MOST_RATED", 7), ("MOST_RATED_BYTES", 5 * 24_000 * 8)):
        with monkeypatch.context() as patch:
            patch.setattr(shelf, limit, room)
            both = ready(folder, text + more)
        assert [len(t.clips) for t in both.tracks] == [1, 5, 1]
        assert [m.source for m in both.materials[:6]] == [m.source for m in alone.materials]
        assert list(islice(both.streams()[1], 50)) == list(islice(alone.streams()[1], 50))
    assert [len(t.clips) for t in ready(folder, text + more).tracks] == [1, 5, 5]


def test_the_length_of_a_render_follows_a_slower_sounding(folder: Path) -> None:
    """With `duration: auto` a scene whose tones last 0.5 s is 0.5 s long, though one of them varies in its rate."""
    text = "seed: 4\nduration: auto\natmo: {sound: tone.wav}\nobjects:\n  - {label: a, sound: low.wav, "
    text += "schedule: {kind: random, gap: [1, 2]}}"
    assert compose(loads(text, folder=folder), rate_hz=RATE_HZ).duration_frames == RATE_HZ // 2


def test_a_list_of_sounds_is_not_played_through(folder: Path) -> None:
    """Of three sounds, one procedural with three soundings, each has its turn in every five events."""
    text = (
        "{label: a, sound: [tone.wav, low.wav, synth:clock], vary: 0, schedule: {kind: random, gap: [0, 1]}}"
    )
    made = ready(folder, text)
    names = [made.materials[e.clip].source for e in islice(made.streams()[1], 20)]
    for bag in range(0, 20, 5):
        five = ["low.wav", "synth:clock", "synth:clock#2", "synth:clock#3", "tone.wav"]
        assert sorted(names[bag : bag + 5]) == five


@pytest.mark.parametrize("sound", ["tone.wav", "wide.wav"])
@pytest.mark.parametrize("panning", [0.0, -0.4])
def test_a_rendered_event_is_another_than_was_drawn(sound: str, panning: float, folder: Path) -> None:
    """It is what a scene renders of the same sound at that rate, at panning + moved and that level, within 0.03 dB."""
    again = f"panning: {panning}, sound: {sound}, yield: never, schedule: {{kind: random, gap: [1, 2]}}}}"
    made = ready(folder, "{label: a, " + again + "\nwet_level: 0")
    track, event = made.tracks[1], next(made.streams()[1])
    moved = brentq(lambda m: moved_by(m, panning, track.mono)[0] - event.balance, -0.1, 0.1, xtol=1e-12)
    own = next(clip for clip in track.clips if clip.number == event.clip)
    level_db = 20.0 * np.log10(event.gain / own.gain / moved_by(moved, panning, track.mono)[1])
    assert abs(moved) > 0.005
    samples, loudness_lufs = made.materials[event.clip].samples, made.materials[own.number].loudness_lufs
    # A file at another rate is levelled by its own loudness, a sounding by that of the sound.
    level_db += measure_clip(samples, RATE_HZ)[0] - loudness_lufs
    soundfile.write(folder / "at-rate.wav", samples[:, : 1 if track.mono else 2], RATE_HZ, subtype="FLOAT")
    once = f"panning: {panning + moved}, gain_db: {level_db}, sound: at-rate.wav, yield: never, "
    expected = ready(
        folder, "{label: b, " + once + f"schedule: {{at: {event.start_frame / RATE_HZ}}}}}\nwet_level: 0"
    )
    a, b = (rendered(c, event.start_frame + event.frames) for c in (made, expected))
    middle = slice(event.start_frame + event.frames // 2 - 4800, event.start_frame + event.frames // 2 + 4800)
    # Of a stereo sound the power of both sides is kept as if they were not correlated, so only its place is compared.
    off_db = 20.0 * np.log10(np.sqrt(np.mean(a[middle] ** 2, axis=0) / np.mean(b[middle] ** 2, axis=0)))
    off_db = off_db if track.mono else off_db - off_db.mean()
    assert off_db == pytest.approx([0.0, 0.0], abs=0.03)
    if track.mono:
        assert a[middle] == pytest.approx(b[middle], abs=0.004 * float(np.abs(b).max()))


def rendered(composition: Composition, frames: int) -> NDArray[np.float32]:
    samples = bounce(composition, duration_s=frames / RATE_HZ + 0.1, endless=True).samples
    assert samples is not None
    return samples


def test_the_quantum_or_the_order_of_arrival_changes_events_that_vary(folder: Path) -> None:
    """Quanta of 32, 128 and 1024 render the same samples of three tracks that vary, bit for bit, as `play` does."""
    rest = "schedule: {kind: random, gap: [0, 0.3]}}"
    text = f"{{label: a, sound: tone.wav, panning: 0.5, {rest}\n  - {{label: b, sound: wide.wav, {rest}"
    made = ready(folder, f"{text}\n  - {{label: c, sound: [tone.wav, low.wav], panning: -0.8, {rest}")
    found = {bounce(made, duration_s=3.0, endless=True, quantum_frames=q).sha256 for q in (32, 128, 1024)}
    assert len(found) == 1
