"""Loops in time: repetitions that drift off their beats, leave their period, or change what has no tempo."""

import hashlib
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from engine.control.bounce import bounce
from engine.control.show import Show
from engine.events import Event
from engine.scene.beats import Grid, period_frames, repetitions
from engine.scene.composition import Composition, compose
from engine.scene.load import loads
from engine.scene.schedule import Clip, track_events, track_generator
from engine.scene.schema import Loop
from engine.scene.timeline import ended

RATE_HZ = 48_000

tempos = st.floats(20.0, 300.0)
beats_of_loops = st.floats(0.25, 64.0) | st.sampled_from([1.0, 4.0, 16.0, 1024.0])

BEATS = """
title: In time
seed: 3
duration: 4
tempo_bpm: 127.3
atmo: {sound: synth:rain, level_db: -40}
objects:
  - {label: clock, importance: 0.9, sound: synth:clock, schedule: {kind: loop, beats: 2}}
  - {label: bell, importance: 0.5, sound: synth:bell, schedule: {kind: loop, beats: 3.5}}
  - {label: bird, importance: 0.4, sound: synth:bird, schedule: {kind: loop}}
"""


def loop_events(
    beats: float | None, tempo_bpm: float | None, clip: Clip, rate_hz: int = RATE_HZ
) -> list[Event]:
    loop = Loop(beats=beats)
    return list(islice(track_events(loop, 0, [clip], track_generator(0, "a"), 1, rate_hz, tempo_bpm), 40))


@given(
    tempo=tempos,
    beats=beats_of_loops,
    rate_hz=st.sampled_from([8000, 44_100, 48_000, 192_000]),
    hours=st.floats(0.0, 24.0),
)
def test_repetitions_drift_off_the_beat(tempo: float, beats: float, rate_hz: int, hours: float) -> None:
    """After up to a day each repetition begins within half a frame of its beat, whatever came before it."""
    period = period_frames(beats, tempo, rate_hz)
    first = int(hours * 3600 * rate_hz / period)
    events = islice(repetitions(0, 0, 1 << 40, 1.0, Grid(0.0, period), rate_hz, first), 20)
    for number, event in enumerate(events, first):
        assert abs(event.start_frame * tempo - number * beats * 60.0 * rate_hz) <= 0.5001 * tempo


@given(period=st.floats(2400.0, 400_000.0), moved=st.integers(-(10**9), 10**9), number=st.integers(0, 10**5))
def test_a_grid_rounds_otherwise_at_another_place(period: float, moved: int, number: int) -> None:
    """Whole frames later means whole frames later; the first start at or after a frame is found there."""
    grid = Grid(0.0, period)
    assert abs(grid.moved(moved).start(number) - moved - grid.start(number)) <= 1
    start = grid.start(number)
    assert grid.number_at(start) == number
    assert grid.number_at(start + 1) == number + 1
    assert grid.nearest(start) == number


@given(tempo=tempos, beats=st.floats(0.25, 32.0), frames=st.integers(2400, 500_000))
def test_a_repetition_sounds_on_into_the_next_or_is_cut_too_soon(
    tempo: float, beats: float, frames: int
) -> None:
    """It is over at most 10 ms after the next has begun, and sooner only where the clip is."""
    for event, following in pairwise(loop_events(beats, tempo, Clip(7, frames, 0.5))):
        room = following.start_frame - event.start_frame
        assert event.frames == min(frames, room + 480)
        assert event.fade_in_frames + event.fade_out_frames <= event.frames
        assert event.fade_in_frames > 0
        assert event.fade_out_frames > 0
        assert event.start_frame + event.frames - event.fade_out_frames <= following.start_frame
        assert (event.clip, event.offset_frames, event.gain) == (7, 0, 0.5)


def test_a_clip_cut_to_the_period_is_not_joined_as_it_should() -> None:
    """A second at 60 BPM. Longer by 4 ms: equal power over those; as long, or 4 ms short: 2 ms; much longer: 10 ms."""
    fades = {}
    for more in (-4800, -192, 0, 48, 192, 4800):
        event, following = loop_events(1, 60.0, Clip(0, RATE_HZ + more, 1.0))[1:3]
        fades[more] = event.fade_out_frames, following.fade_in_frames
    assert fades == {
        -4800: (480, 96),
        -192: (96, 96),
        0: (96, 96),
        48: (96, 96),
        192: (192, 192),
        4800: (480, 96),
    }


def test_a_tempo_moves_what_has_no_beats() -> None:
    """Other tracks have the events of the scene without a tempo, and a loop without beats those of none."""
    free = BEATS.replace(", beats: 2", "").replace(", beats: 3.5", "").replace("tempo_bpm: 127.3\n", "")
    timed = compose(loads(BEATS), rate_hz=RATE_HZ)
    other = compose(loads(free), rate_hz=RATE_HZ)
    for number in (0, 3):
        assert list(islice(timed.streams()[number], 9)) == list(islice(other.streams()[number], 9))
    for number in (1, 2):
        assert list(islice(timed.streams()[number], 9)) != list(islice(other.streams()[number], 9))
    assert [track.beats for track in timed.tracks] == [None, 2.0, 3.5, None]
    clip = Clip(0, 99_999, 1.0, 0.3)
    assert loop_events(None, 120.0, clip) == loop_events(None, None, clip)


def test_the_finite_and_the_endless_form_have_other_beats() -> None:
    timed = compose(loads(BEATS), rate_hz=RATE_HZ)
    end = 9 * RATE_HZ
    for number in (1, 2):
        events = list(timed.streams(end)[number])
        endless = islice(timed.streams()[number], len(events))
        assert events == [ended(event, end, RATE_HZ) for event in endless]
        period = period_frames(timed.tracks[number].beats or 0.0, 127.3, RATE_HZ)
        assert len(events) == np.ceil(end / period)


def played(composition: Composition, path: Path, seconds: float) -> str:
    with Show(composition, driver="null", safety_quanta=16, record=path, log=None) as show:
        show.stop(at_frame=round((seconds + 0.1) * RATE_HZ))
        show.wait(30.0)
    samples = soundfile.read(path, dtype="float32")[0][: round(seconds * RATE_HZ)]
    return hashlib.sha256(samples.astype("<f4").tobytes()).hexdigest()


@pytest.mark.parametrize("clock", ["internal", "midi"])
def test_live_and_offline_differ_in_a_scene_with_a_tempo(tmp_path: Path, clock: str) -> None:
    """Without a clock also one that would follow it: 2 s have the same samples."""
    composition = compose(loads(BEATS + f"clock: {clock}\n"), rate_hz=RATE_HZ)
    rendered = bounce(composition, endless=True, duration_s=2.0)
    assert played(composition, tmp_path / "take.wav", 2.0) == rendered.sha256
