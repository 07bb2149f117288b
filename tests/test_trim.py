"""Silence around a sound: left where it delays it, or taken with a part of the sound."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.control.bounce import bounce
from engine.media import decode
from engine.scene.composition import compose
from engine.scene.load import loads
from engine.scene.trim import trimmed

RATE_HZ = 48_000
SAMPLES = Path("/usr/share/sonic-pi/samples")


def burst(seconds: float, level_db: float = -6.0, seed: int = 1, channels: int = 1) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).uniform(-1.0, 1.0, (round(seconds * RATE_HZ), channels))
    return np.asarray(noise * 10.0 ** (level_db / 20.0), np.float32)


def between(
    before_s: float, sound: NDArray[np.float32], after_s: float, floor_db: float
) -> NDArray[np.float32]:
    """A sound in a noise of a level; none at -inf."""
    ends = [burst(s, floor_db, seed, sound.shape[1]) for s, seed in ((before_s, 2), (after_s, 3))]
    return np.concatenate([ends[0], sound, ends[1]])


def place_of(part: NDArray[np.float32], whole: NDArray[np.float32]) -> int:
    """Return where a part begins."""
    for at in np.flatnonzero((whole == part[0]).all(axis=1)).tolist():
        if np.array_equal(whole[at : at + len(part)], part):
            return int(at)
    raise AssertionError("it is no part")


@settings(max_examples=40, deadline=None)
@given(
    before=st.floats(0.0, 2.0),
    after=st.floats(0.0, 2.0),
    floor_db=st.sampled_from([-np.inf, -96.0, -70.0, -60.0, -50.0]),
    channels=st.sampled_from([1, 2]),
)
def test_silence_stays_or_a_part_of_the_sound_goes(
    before: float, after: float, floor_db: float, channels: int
) -> None:
    """Of noise at -6 dB all is kept, with 5 to 7 ms before and 50 to 52 ms after; a floor over -66 dB lasts 50 ms."""
    assume(floor_db < -66.0 or max(before, after) > 0.06)
    sound = burst(0.3, channels=channels)
    clip = between(before, sound, after, floor_db)
    made = trimmed(clip, RATE_HZ)
    begin = round(before * RATE_HZ)
    at = place_of(sound, made)
    kept_before, kept_after = at, len(made) - at - len(sound)
    assert np.array_equal(made, clip[begin - at : begin - at + len(made)])
    assert min(240, begin) <= kept_before <= 336
    assert min(2400, len(clip) - begin - len(sound)) <= kept_after <= 2496


@pytest.mark.parametrize(
    "clip",
    [
        burst(2.0),
        burst(2.0) * np.linspace(0.05, 1.0, 2 * RATE_HZ, dtype=np.float32)[:, None],
        np.zeros((5000, 1), np.float32),
        np.ones((1, 2), np.float32),
        burst(0.01),
        np.sin(2 * np.pi * 20.0 * np.arange(RATE_HZ, dtype=np.float32) / RATE_HZ)[:, None].astype(np.float32),
    ],
    ids=["steady", "rising", "silent", "one frame", "short", "20 Hz"],
)
def test_a_sound_without_silence_is_cut(clip: NDArray[np.float32]) -> None:
    """Steady or rising noise, silence alone, one frame, 10 ms, and a tone of 20 Hz are returned as they are."""
    assert trimmed(clip, RATE_HZ) is clip


def test_a_tail_is_cut_above_its_range() -> None:
    """Of a decay of 60 dB/s over 3 s, without a floor, 1.05 s are kept within 0.02 s; with a floor at -50 dB, 0.9."""
    t = np.arange(3 * RATE_HZ) / RATE_HZ
    tone = (np.sin(2000.0 * np.pi * t) * 10.0 ** (-3.0 * t))[:, None].astype(np.float32)
    assert len(trimmed(tone, RATE_HZ)) / RATE_HZ == pytest.approx(1.05, abs=0.02)
    noisy = tone + burst(3.0, -50.0)
    assert 0.75 < len(trimmed(noisy, RATE_HZ)) / RATE_HZ < 1.0


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples of Sonic Pi are not here")
@pytest.mark.parametrize(
    "name", ["drum_heavy_kick", "bd_haus", "elec_blip", "perc_bell", "ambi_choir", "bass_hit_c"]
)
def test_a_recorded_attack_is_cut(name: str) -> None:
    """Of six recordings the part before the first sample 40 dB below the peak loses nothing but silence of -60 dB.

    What is cut off at either end has less than 1e-5 of the energy.
    """
    clip = decode(SAMPLES / f"{name}.flac", RATE_HZ)
    made = trimmed(clip, RATE_HZ)
    begin = place_of(made, clip)
    loud = np.abs(clip).max(axis=1)
    first = int(np.argmax(loud > 0.01 * loud.max()))
    assert begin <= max(0, first - 200)
    gone = float(
        (clip[:begin].astype(float) ** 2).sum() + (clip[begin + len(made) :].astype(float) ** 2).sum()
    )
    assert gone < 1e-5 * float((clip.astype(float) ** 2).sum())


def test_at_is_when_a_file_begins_rather_than_its_sound(tmp_path: Path) -> None:
    """A file of 0.7 s of silence and a burst, at 3 s: the burst is heard at 3.005 s, and 2 ms more at most.

    Its loudness is that of the burst alone, and as a loop with beats it keeps its silence.
    """
    clip = between(0.7, burst(0.3), 0.5, -np.inf)
    soundfile.write(tmp_path / "late.wav", clip, RATE_HZ, subtype="FLOAT")
    soundfile.write(tmp_path / "air.wav", burst(1.0), RATE_HZ, subtype="FLOAT")
    text = "predict: false\ntempo_bpm: 60\nloudness: off\nwet_level: 0\nduration: 5\n"
    text += "atmo: {sound: air.wav, level_db: -60}\nobjects:\n"
    text += "  - {label: a, sound: late.wav, schedule: {at: 3}}\n"
    text += "  - {label: b, sound: late.wav, gain_db: -24, schedule: {kind: loop, beats: 16}}\n"
    text += "  - {label: c, sound: late.wav, gain_db: -24, schedule: {kind: loop}}"
    made = compose(loads(text, folder=tmp_path), rate_hz=RATE_HZ)
    once, beats, loop = (made.materials[track.clips[0].number] for track in made.tracks[1:])
    assert once is loop
    assert np.array_equal(beats.samples[:, :1], clip)
    assert len(once.samples) / RATE_HZ == pytest.approx(0.356, abs=0.002)
    alone = compose(loads(text.split("  - {label: b")[0], folder=tmp_path), rate_hz=RATE_HZ)
    samples = bounce(alone).samples
    assert samples is not None
    level = np.abs(samples).max(axis=1)
    heard = int(np.argmax(level > 0.25 * level.max()))
    assert 3.004 <= heard / RATE_HZ <= 3.009
