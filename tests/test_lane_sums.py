"""Sums of voices, bit for bit those of a slow twin that adds one voice after the other down its lane."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dsp.lane_sums import CHUNK, LINE, MOST, PAUSE, SUMS, cut_gain, fade_gain
from dsp.playback import ARRIVAL, PLAYING, START, TRACK, WAITING
from dsp.voices import (
    ARRIVED,
    BALANCE,
    CLIP,
    CUT_AT,
    CUT_FRAMES,
    FADE_IN,
    FADE_OUT,
    FRAMES,
    GAIN,
    HEARD,
    HELD_AT,
    HELD_FRAMES,
    OFFSET,
    RHO_IN,
    RHO_OUT,
)
from engine.events import Event, cut
from tests.test_playback import ENTRY_FRAMES, Bank, Samples

LONG = 5000


def odd_noise(frames: int, seed: int) -> Samples:
    """Noise with zeros of both signs and subnormals in it."""
    rng = np.random.default_rng(seed)
    samples = (0.1 * rng.standard_normal((frames, 2))).astype(np.float32)
    kinds = rng.integers(0, 20, (frames, 2))
    for kind, value in enumerate((0.0, -0.0, 1e-42, -1e-42)):
        samples[kinds == kind] = value
    return samples


CLIPS = tuple(odd_noise(frames, seed) for seed, frames in enumerate((LONG, LONG, 700, 40, 1)))


class Choir(Bank):
    """Players with any number of tracks, in any order of lanes; a lane of -1 is none."""

    def __init__(self, lanes: Sequence[int], clips: Sequence[Samples] = CLIPS) -> None:
        super().__init__(clips, tracks=1)
        self.tracks = max(lanes) + 1
        self.lanes_of = np.array(lanes, np.int64)
        self.clips = clips

    def compare(self, frame: int, frames: int) -> None:
        """Play a quantum and hold it against the twin."""
        known = {int(row) for which in (PLAYING, WAITING) for row in self.rows(which)}
        arrived = int(self.counts[ARRIVED])
        out = np.full((frames, 2 * self.tracks), np.nan, np.float32)
        self.play(out, frame)
        truth = self.twin(known, arrived, frame, frames)
        assert np.array_equal(out.view(np.int32), truth.view(np.int32))

    def rows(self, which: int) -> NDArray[np.int64]:
        return self.table.order[which, : self.counts[which]]

    def twin(self, known: set[int], arrived: int, frame: int, frames: int) -> Samples:
        """Return what the voices in `known` and those that arrived after as many sum to."""
        out = np.zeros((frames, 2 * self.tracks), np.float32)
        ints, floats = self.table.ints, self.table.floats
        rows = [i for i in range(len(self.table)) if i in known or ints[i, ARRIVAL] >= arrived]
        rows.sort(key=lambda row: tuple(ints[row, [START, TRACK, ARRIVAL]].tolist()))
        for row in rows:
            lane = int(self.lanes_of[ints[row, TRACK]])
            if lane >= 0 and ints[row, FRAMES] > 0:
                add_slowly(out, lane, self.clips[ints[row, CLIP]], ints[row].tolist(), floats[row], frame)
        return out


def add_slowly(
    out: Samples, lane: int, clip: Samples, ints: list[int], floats: NDArray[np.float64], frame: int
) -> None:
    """Add a voice frame by frame: with the gain in float64 where that moves, in float32 where it does not."""
    lanes = [lane, out.shape[1] // 2 + lane]
    start, length, heard, cut_at = ints[START], ints[FRAMES], ints[HEARD], ints[CUT_AT]
    end = min(start + length, cut_at + ints[CUT_FRAMES], frame + len(out))
    sides = np.array([1.0 - floats[BALANCE], 1.0 + floats[BALANCE]])
    for now in range(max(heard, frame), end):
        at = now - start
        steady = True
        level = float(floats[GAIN])
        if at < ints[FADE_IN]:
            level, steady = level * fade_gain(float(at), ints[FADE_IN], floats[RHO_IN]), False
        if at >= length - ints[FADE_OUT]:
            level *= fade_gain(float(length - 1 - at), ints[FADE_OUT], floats[RHO_OUT])
            steady = False
        if heard > start and now - heard < ENTRY_FRAMES:
            level *= 0.5 - 0.5 * math.cos(math.pi * (float(now - heard) + 0.5) / ENTRY_FRAMES)
            steady = False
        if now >= ints[HELD_AT]:
            level *= cut_gain(min(now, cut_at - 1) - ints[HELD_AT], ints[HELD_FRAMES])
            steady = False
        if now >= cut_at:
            level *= cut_gain(now - cut_at, ints[CUT_FRAMES])
            steady = False
        sample = clip[ints[OFFSET] + at]
        if steady:
            out[now - frame, lanes] += (level * sides).astype(np.float32) * sample
        else:
            out[now - frame, lanes] += (level * sides * sample.astype(np.float64)).astype(np.float32)


def balance_of(rng: np.random.Generator) -> float:
    """None for half of the voices."""
    return float(rng.choice([0.0, rng.uniform(-1.0, 1.0)]))


def voices_of(rng: np.random.Generator, tracks: int, end: int) -> list[Event]:
    """Long voices of steady gain on most tracks, and others over, before and behind them, with cuts among them."""
    events = []
    for track in range(tracks):
        if rng.random() < 0.7:
            start = int(rng.integers(-1000, 1))
            offset = int(rng.integers(0, 50))
            gain = float(rng.choice([1.0, 0.0, -0.7, rng.uniform(0.0, 2.0)]))
            entry = int(rng.choice([start, start, int(rng.integers(0, end))]))
            held = Event(start, track, track % 2, offset, LONG - offset, 0, 0, gain, entry_frame=entry)
            events.append(held._replace(balance=balance_of(rng)))
    for _ in range(rng.integers(0, 25)):
        start, track, clip = int(rng.integers(-50, end)), int(rng.integers(tracks)), int(rng.integers(5))
        frames = int(rng.integers(1, len(CLIPS[clip]) + 1))
        offset = int(rng.integers(0, len(CLIPS[clip]) - frames + 1))
        fade_in, fade_out = (rng.integers(0, frames + 3, 2) * rng.integers(0, 2, 2)).tolist()
        gain, rho_in, rho_out = rng.uniform(-1.0, 1.0, 3).tolist()
        event = Event(start, track, clip, offset, frames, fade_in, fade_out, gain, abs(rho_in), abs(rho_out))
        events.append(event._replace(balance=balance_of(rng)))
    for _ in range(rng.integers(0, 5)):
        events.append(
            cut(int(rng.integers(0, end)), int(rng.integers(-1, tracks)), int(rng.integers(1, 200)))
        )
    rng.shuffle(events)
    return events


@settings(max_examples=120)
@given(
    tracks=st.integers(1, 37),
    quanta=st.lists(st.integers(1, 300), min_size=1, max_size=5),
    seed=st.integers(0, 10_000),
    shuffled=st.booleans(),
)
def test_a_bit_of_a_lane_is_not_the_sum_in_its_order(
    tracks: int, quanta: list[int], seed: int, shuffled: bool
) -> None:
    """1 to 37 tracks, quanta of 1 to 300: late, cut, fading, entering, several a lane, none a lane, lanes mixed up."""
    rng = np.random.default_rng(seed)
    lanes = np.arange(tracks)
    if shuffled:
        rng.shuffle(lanes)
    choir = Choir([*lanes.tolist(), -1])
    events = voices_of(rng, tracks + 1, sum(quanta))
    frame = 0
    for quantum in quanta:
        for _ in range(rng.integers(0, len(events) + 1)):
            choir.queue.push(events.pop())
        choir.compare(frame, quantum)
        frame += quantum


def steady(track: int) -> Event:
    return Event(-100, track, track % 2, track % 100, LONG - 100, 0, 0, 0.3)


def gaps(track: int) -> bool:
    """Whether a track sounds between gaps of 14, 15, … lanes."""
    place, gap = 0, LINE - 2
    while place < track:
        place, gap = place + gap + 1, gap + 1
    return place == track


SCENES: dict[str, tuple[int, Callable[[int], list[Event]]]] = {
    "all silent": (100, lambda track: []),
    "all steady, more than are written at once": (MOST + 5, lambda track: [steady(track)]),
    "all doubled": (3 * SUMS + 2, lambda track: [steady(track), steady(track)._replace(clip=2, frames=600)]),
    "all fading": (SUMS + 7, lambda track: [steady(track)._replace(fade_in_frames=200 + track)]),
    "each third doubled": (5 * SUMS, lambda track: [steady(track)] * (1 + (track % 3 == 0))),
    "silence in runs": (20 * PAUSE, lambda track: [steady(track)] * gaps(track)),
    "silence in runs, and doubled": (20 * PAUSE, lambda track: [steady(track)] * 2 * gaps(track)),
    "silence but for the last": (2 * PAUSE + 1, lambda track: [steady(track)] * (track == 2 * PAUSE)),
    "sound but for the first line": (5 * LINE + 3, lambda track: [steady(track)] * (track >= LINE)),
}


@pytest.mark.parametrize("scene", SCENES)
def test_a_crowd_of_lanes_is_written_to_another_place(scene: str) -> None:
    """Sums, pauses and lanes beyond what is written at once, in quanta of 16, 19 and more than is summed at once."""
    tracks, events = SCENES[scene]
    choir = Choir(range(tracks))
    for track in range(tracks):
        for event in events(track):
            assert choir.queue.push(event)
    frame = 0
    for quantum in (16, 19, CHUNK + 3):
        choir.compare(frame, quantum)
        frame += quantum


def test_a_long_quantum_loses_the_voices_where_its_first_row_is_written() -> None:
    """A quantum of 2048 frames with 9 tracks, some doubled, is the twin's."""
    choir = Choir(range(9))
    for track in range(9):
        for event in [steady(track)] * (1 + track % 2):
            choir.queue.push(event)
    choir.compare(0, 2048)


def test_what_stands_before_or_behind_the_block_is_written() -> None:
    """Of a larger block only the 40 frames of the quantum change, with 21 tracks."""
    choir = Choir(range(21))
    for track in range(0, 21, 2):
        choir.queue.push(steady(track))
    block = np.full((60, 42), 7.0, np.float32)
    choir.play(block[10:50], 0)
    assert np.all(block[:10] == 7.0)
    assert np.all(block[50:] == 7.0)
    assert not np.any(block[10:50] == 7.0)
