"""Loops that follow a clock: late, early, with a jump that is heard, moved too often, or not where it is told."""

import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from benchmarks.edited_show import STEP_LIMIT, StepMeter
from engine.control.beat_follower import Clock
from engine.control.heard import HeardClock
from engine.control.local_engine import LocalEngine
from engine.control.midi import messages as midi
from engine.control.midi.clock import TICKS_PER_BEAT, ClockFollower
from engine.control.show import Show
from engine.control.stage import LEAD_MS, Stage
from engine.control.take import Take
from engine.errors import InputError
from engine.events import CUT, Event, EventQueue
from engine.host.session import EngineStatistics
from engine.scene.composition import Composition, Track, compose
from engine.scene.load import loads
from engine.scene.material import Material
from engine.scene.schedule import Clip
from engine.scene.schema import Loop, Scene
from engine.spec import StreamSpec

RATE_HZ = 48_000
QUANTUM = 512
CALL_S = 0.1
PULSE_AT = 480


def material(seconds: float, tone_hz: float = 0.0) -> Material:
    """A pulse 10 ms after its beginning, or a tone of whole periods."""
    frames = round(seconds * RATE_HZ)
    wave = 0.1 * np.sin(2 * np.pi * tone_hz * np.arange(frames) / RATE_HZ)
    if not tone_hz:
        wave[PULSE_AT : PULSE_AT + 8] = 0.5
    samples = np.repeat(wave[:, None], 2, axis=1).astype(np.float32)
    return Material("m", "m", samples, True, -23.0, "")


def scene(
    *loops: tuple[float | None, Material], tempo_bpm: float = 120.0, clock: str = "midi"
) -> Composition:
    tracks = tuple(
        Track(
            number=number,
            name=f"loop {number}",
            importance=0.5,
            yields="never",
            panning=0.0,
            level_db=-23.0,
            send_db=-90.0,
            mono=True,
            schedule=Loop(beats=beats),
            clips=(Clip(number, len(sound.samples), 1.0, 1.0),),
            tempo_bpm=tempo_bpm if beats else None,
        )
        for number, (beats, sound) in enumerate(loops)
    )
    made = Scene.model_validate({"clock": clock, "tempo_bpm": tempo_bpm})
    return Composition(made, 1, RATE_HZ, tracks, tuple(sound for _, sound in loops), RATE_HZ)


class Sequencer:
    """A MIDI clock on the engine's frames, each tick up to 2 ms early or late, and the follower that hears it."""

    def __init__(self, seed: int = 0, jitter_s: float = 0.002) -> None:
        self.follower = ClockFollower()
        self.generator = random.Random(seed)
        self.jitter_s = jitter_s
        self.bpm = 120.0
        self.next_s = 0.0
        self.ticks = 0
        self.sends = True
        self.beats_s: list[float] = []
        self._due: list[tuple[float, int]] = []

    def start(self) -> None:
        """Begin at 0 with the next tick."""
        self.say(midi.START)
        self.ticks = 0

    def say(self, status: int) -> None:
        """Send a message between the ticks so far and the next."""
        self.deliver(self.next_s)
        self.follower.take(status, self.next_s - 0.002)

    def run(self, until_s: float) -> None:
        """Send all that is due."""
        while self.next_s < until_s + 0.01:
            if self.sends:
                if self.ticks % TICKS_PER_BEAT == 0:
                    self.beats_s.append(self.next_s)
                late_s = self.generator.uniform(-self.jitter_s, self.jitter_s)
                self._due.append((self.next_s + late_s, midi.CLOCK))
            self.ticks += 1
            self.next_s += 60.0 / self.bpm / TICKS_PER_BEAT
        self.deliver(until_s)

    def deliver(self, until_s: float) -> None:
        self._due.sort()
        while self._due and self._due[0][0] <= until_s:
            at_s, status = self._due.pop(0)
            self.follower.take(status, at_s)

    def place(self, now_s: float) -> Clock | None:
        place = self.follower.place(now_s)
        return place and Clock(now_s * RATE_HZ, place[1], 60.0 * RATE_HZ / place[0])


def listen(queue: EventQueue, told: Callable[[Event], None]) -> None:
    """Have `told` called with every event that is pushed."""
    push = queue.push

    def heard(event: Event) -> bool:
        done = push(event)
        if done:
            told(event)
        return done

    queue.push = heard  # type: ignore[method-assign]


class Pushed(NamedTuple):
    """An event and the frame of the engine when it was pushed."""

    frame: int
    event: Event


class Rig:
    """A stage that plays as fast as it goes, with a clock that is told to it every 0.1 s."""

    def __init__(self, composition: Composition, sequencer: Sequencer) -> None:
        self.engine = LocalEngine(StreamSpec(RATE_HZ, QUANTUM))
        self.sequencer = sequencer
        self.pushed: list[Pushed] = []
        for queue in self.engine.queues:
            listen(queue, lambda event: self.pushed.append(Pushed(self.engine.frame, event)))
        self.stage = Stage(self.engine, RATE_HZ, lambda kind, text: None)
        self.stage.open(composition)
        self.next_s = 0.0
        self.moved_s: list[float] = []
        self.blocks: list[NDArray[np.float32]] = []

    def render(self, seconds: float) -> NDArray[np.float32]:
        blocks = []
        for _ in range(round(seconds * RATE_HZ / QUANTUM)):
            now_s = self.engine.frame / RATE_HZ
            self.sequencer.run(now_s)
            if now_s >= self.next_s:
                self.next_s += CALL_S
                clock = self.sequencer.place(now_s)
                if clock and self.stage.follow(clock):
                    self.moved_s.append(now_s)
            block = np.zeros((QUANTUM, 2), np.float32)
            self.engine.render(block)
            for message in self.engine.poll():
                self.stage.take(message)
            self.stage.tick()
            blocks.append(block)
        self.blocks += blocks
        return np.concatenate(blocks)

    def pulses_s(self) -> NDArray[np.float64]:
        """When repetitions began, as heard: the pulses in all that was rendered."""
        sound = np.abs(np.concatenate(self.blocks)[:, 0])
        found = []
        at = 0
        while len(loud := np.flatnonzero(sound[at:] > 0.3 * sound.max())):
            begin = at + int(loud[0])
            found.append(begin + int(sound[begin : begin + 240].argmax()))
            at = begin + 2400
        return (np.array(found) - PULSE_AT - self.stage.latency_frames) / RATE_HZ


def off_ms(starts_s: NDArray[np.float64], beats_s: list[float], every: int) -> NDArray[np.float64]:
    """How far each start is from the nearest beat on which a repetition is due."""
    due = np.array(beats_s[::every])
    return np.array([1e3 * (start - due[np.abs(due - start).argmin()]) for start in starts_s])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("beats", [1, 4, 16])
def test_repetitions_are_off_the_beat_of_a_clock_that_changes(beats: int, seed: int) -> None:
    """120, then 126 BPM, ticks up to 2 ms early or late: within 4 ms of the beat, as heard, all but the first moments.

    In the first beat, with six ticks to tell the tempo from, within 8 ms; in 2.5 s from the change on within 25 ms
    (every beat) and 8 ms (every fourth).
    """
    sequencer = Sequencer(seed)
    sequencer.start()
    rig = Rig(scene((beats, material(0.3))), sequencer)
    rig.render(20.0)
    change_s = rig.engine.frame / RATE_HZ
    sequencer.bpm = 126.0
    rig.render(20.0)
    starts = rig.pulses_s()
    off = np.abs(off_ms(starts, sequencer.beats_s, beats))
    changing = (starts >= change_s) & (starts < change_s + 2.5)
    first = starts < 0.6
    assert off[first].max() < 8.0
    assert off[~changing & ~first].max() < 4.0
    assert off[changing].max(initial=0.0) < (25.0 if beats == 1 else 8.0)
    assert len(starts) == len(sequencer.beats_s[::beats])
    periods = np.diff(starts)
    assert periods[-1] == pytest.approx(beats * 60 / 126.0, abs=0.006)


def test_a_repetition_is_moved_again_and_again_or_too_late_to_be_in_time() -> None:
    """Each cut is heard of before it is due, and no two lie closer than half a repetition."""
    sequencer = Sequencer(5, jitter_s=0.006)
    sequencer.start()
    rig = Rig(scene((1, material(0.3)), (4, material(1.0))), sequencer)
    for bpm in (120.0, 131.0, 117.0):
        sequencer.bpm = bpm
        rig.render(8.0)
    cuts = [(frame, event) for frame, event in rig.pushed if event.clip == CUT and event.track != -1]
    assert len(cuts) > 10
    for frame, event in cuts:
        assert event.start_frame - frame >= LEAD_MS * 1e-3 * RATE_HZ
    for number, least_s in ((0, 0.25), (1, 1.0)):
        at = np.array([event.start_frame for _, event in cuts if event.track == number]) / RATE_HZ
        assert np.diff(at).min() > least_s


def test_a_loop_is_broken_where_its_clock_was_there_all_along() -> None:
    """Started with the scene, told by six ticks with jitter: the first repetition of 8 s is not cut."""
    for seed in range(4):
        sequencer = Sequencer(seed)
        sequencer.start()
        rig = Rig(scene((16, material(8.0))), sequencer)
        rig.render(10.0)
        cuts = [event.start_frame for _, event in rig.pushed if event.clip == CUT and event.track == 0]
        assert all(frame > 7.9 * RATE_HZ for frame in cuts)


def test_what_comes_after_a_cut_is_heard_before_it() -> None:
    """Every repetition that is fed after a cut begins, or enters in its middle, with the cut or later."""
    sequencer = Sequencer(1)
    sequencer.start()
    rig = Rig(scene((2, material(2.0))), sequencer)
    for bpm in (120.0, 133.0, 100.0):
        sequencer.bpm = bpm
        rig.render(4.0)
    cuts = entered = last = 0
    for _, event in rig.pushed:
        if event.clip == CUT and event.track == 0:
            last, cuts = event.start_frame, cuts + 1
        elif event.track == 0:
            assert max(event.start_frame, event.entry_frame) >= last
            entered += event.entry_frame > event.start_frame
    assert cuts > 3
    assert entered > 0


def test_a_steady_clock_moves_anything_twice() -> None:
    """Without jitter and at the scene's own tempo nothing is ever moved; at another, once."""
    for bpm, times in ((120.0, 0), (124.0, 1)):
        sequencer = Sequencer(jitter_s=0.0)
        sequencer.bpm = bpm
        sequencer.start()
        rig = Rig(scene((4, material(1.0))), sequencer)
        rig.render(12.0)
        assert len(rig.moved_s) == times


def test_a_loop_that_is_moved_makes_a_step() -> None:
    """A tone that is longer than its period, through a start, changes of tempo and a jump: none above -60 dBFS."""
    sequencer = Sequencer(3)
    rig = Rig(scene((2, material(2.0, 330.0))), sequencer)
    rig.render(1.0)
    sequencer.start()
    for bpm in (120.0, 126.0, 90.0):
        sequencer.bpm = bpm
        rig.render(4.0)
    sequencer.start()
    rig.render(3.0)
    assert len(rig.moved_s) > 5
    sound = np.concatenate(rig.blocks)
    assert np.abs(sound[RATE_HZ:]).max() > 0.05
    # A repetition rises within 2 ms, which the meter for steps of a millisecond sees as a slope.
    assert StepMeter(RATE_HZ).heights(sound[4800:, 0]).max() < STEP_LIMIT


def test_a_start_is_waited_for_until_the_loop_has_ended() -> None:
    """Started in the middle of an 8 s loop the clock is joined within 0.3 s, and the next repetition is on its beat."""
    sequencer = Sequencer()
    rig = Rig(scene((16, material(8.0))), sequencer)
    rig.render(3.3)
    sequencer.beats_s.clear()
    sequencer.start()
    start_s = sequencer.next_s
    rig.render(10.0)
    assert start_s - 0.03 < rig.moved_s[0] < start_s + 0.3
    assert rig.pulses_s()[-1] == pytest.approx(start_s + 8.0, abs=0.004)


def test_a_clock_that_stops_or_goes_stops_the_loops() -> None:
    """They go on at its last tempo, also after a pause; when it continues elsewhere they are there at once."""
    for how in ("stop", "silence"):
        sequencer = Sequencer(1)
        sequencer.start()
        rig = Rig(scene((2, material(0.5))), sequencer)
        sequencer.bpm = 126.0
        rig.render(6.0)
        if how == "stop":
            sequencer.say(midi.STOP)
        else:
            sequencer.sends = False
        rig.render(1.0)
        moves = len(rig.moved_s)
        rig.render(6.0)
        assert len(rig.moved_s) == moves
        assert np.diff(rig.pulses_s())[-5:] == pytest.approx(120 / 126.0, abs=0.002)
        rig.stage.pause()
        rig.render(1.3)
        rig.stage.play()
        rig.render(5.0)
        starts = rig.pulses_s()
        turns = (starts[-3:] - starts[5]) / (120 / 126.0)
        assert turns == pytest.approx(np.round(turns), abs=0.02)
        sequencer.sends = True
        sequencer.ticks = 12
        sequencer.say(midi.STOP)
        sequencer.follower.locate(2)
        sequencer.say(midi.CONTINUE)
        sequencer.beats_s.clear()
        rig.render(4.0)
        assert np.abs(off_ms(rig.pulses_s()[-2:], sequencer.beats_s[1:], 2)).max() < 6.0


def test_a_seek_or_an_edit_takes_loops_off_their_clock() -> None:
    """After both the loop that was there and the one that comes are on the beat, from their first start on."""
    sequencer = Sequencer(2)
    sequencer.start()
    rig = Rig(scene((2, material(0.5))), sequencer)
    sequencer.bpm = 126.0
    rig.render(6.0)
    rig.stage.seek(round(77.123 * RATE_HZ))
    rig.render(3.0)
    rig.stage.edit(scene((2, material(0.5)), (2, material(0.45))))
    after_s = rig.engine.frame / RATE_HZ
    rig.render(4.0)
    starts = rig.pulses_s()
    assert np.abs(off_ms(starts[starts > 6.2], sequencer.beats_s, 2)).max() < 5.0
    events = [e for frame, e in rig.pushed if frame > after_s * RATE_HZ and e.track == 1 and e.clip != CUT]
    begins = np.array([e.start_frame for e in events]) / RATE_HZ
    assert len(begins) > 3
    assert np.abs(off_ms(begins[begins < 12.5], sequencer.beats_s, 2)).max() < 8.0


def test_a_loop_that_an_edit_takes_away_comes_back_with_the_clock() -> None:
    """The clock jumps while the loop fades out: nothing more is fed of it."""
    sequencer = Sequencer()
    rig = Rig(scene((2, material(0.5)), (None, material(3.0))), sequencer)
    rig.render(1.0)
    rig.stage.follow(Clock(rig.engine.frame, 0.0, 24_000.0))
    begin = len(rig.pushed)
    rig.stage.edit(scene((None, material(2.5))))
    rig.stage.follow(Clock(rig.engine.frame + 20_000, 7.3, 24_000.0))
    rig.render(2.0)
    fed = [event for _, event in rig.pushed[begin:] if event.track == 0 and event.clip != CUT]
    # What begins before the fade-out is over was on its way already.
    assert all(event.start_frame < 1.1 * RATE_HZ for event in fed)


def test_an_edited_tempo_is_not_heard() -> None:
    """From 120 to 90 BPM: loops with beats begin every 4/3 s, those without go on with the same bits."""
    silent = Sequencer()
    silent.sends = False
    sounds = (2, material(0.5)), (None, material(2.0))
    rig = Rig(scene(*sounds), silent)
    rig.render(2.0)
    begin = len(rig.pushed)
    rig.stage.edit(scene(*sounds, tempo_bpm=90.0))
    rig.render(3.0)
    events = [event for _, event in rig.pushed[begin:] if event.clip != CUT]
    starts = [event.start_frame for event in events if event.track not in (0, 1)]
    assert set(np.diff(starts)) == {64_000}
    assert not any(event.track == 0 for event in events)


@pytest.mark.parametrize(("clock", "beats"), [("internal", 2.0), ("internal", None), ("midi", None)])
def test_a_clock_moves_what_does_not_ask_for_it(clock: str, beats: float | None) -> None:
    """Loops without beats, and scenes with their own clock, have the same samples with and without one."""
    sequencer = Sequencer()
    sequencer.bpm = 93.0
    sequencer.start()
    rig = Rig(scene((beats, material(0.7)), clock=clock), sequencer)
    silent = Sequencer()
    silent.sends = False
    alone = Rig(scene((beats, material(0.7)), clock=clock), silent)
    np.testing.assert_array_equal(rig.render(4.0), alone.render(4.0))
    assert rig.moved_s == []


def test_a_new_engine_forgets_where_loops_were_moved_to() -> None:
    """What is queued again for it from 9 s on are the repetitions that are on the beat."""
    sequencer = Sequencer(4)
    sequencer.start()
    rig = Rig(scene((2, material(0.5))), sequencer)
    sequencer.bpm = 126.0
    rig.render(9.0)
    begin = len(rig.pushed)
    frame = rig.engine.frame
    rig.stage.rewind(frame)
    again = [event for _, event in rig.pushed[begin:] if event.clip != CUT and event.start_frame > frame]
    rig.render(6.0)
    starts = np.array([event.start_frame for event in again]) / RATE_HZ
    assert len(starts) >= 7
    assert np.abs(off_ms(starts[starts < 14.0], sequencer.beats_s, 2)).max() < 12.0


@pytest.mark.parametrize(
    ("buffer_frames", "null", "ms"), [(128, True, 1.0), (128, False, 1.0), (1024, False, 6.0)]
)
def test_the_size_of_a_buffer_moves_what_is_heard_when(buffer_frames: int, null: bool, ms: float) -> None:
    """Of 31 readings in 3 s, three in stalls of 50 ms: within 1 ms for buffers of 128 frames, 6 ms for 1024."""
    for seed in range(30):
        generator = random.Random(seed)
        heard = HeardClock(RATE_HZ)
        statistics = EngineStatistics(*(0,) * 17)  # type: ignore[arg-type]
        begin = generator.uniform(0.0, 1e6)
        for reading in range(40):
            now_s = 1000.0 + reading * 0.1 + generator.uniform(0.0, 0.03)
            passed = (now_s - 1000.0) * RATE_HZ + begin
            buffers = int(passed // buffer_frames) + (0 if null else 1)
            taken = buffers * buffer_frames - (2400 if reading in (15, 25, 39) else 0)
            statistics = replace(statistics, frame_heard=taken, device_frames=buffer_frames)
            heard.read(statistics, now_s)
        at_s = 1003.95
        off = heard.frame_at(at_s, statistics, null) - (at_s - 1000.0) * RATE_HZ - begin
        assert abs(off) < ms * 1e-3 * RATE_HZ


BEATS = """
title: In time
duration: 4
tempo_bpm: 120
clock: midi
atmo: {sound: synth:rain, level_db: -60}
objects:
  - {label: clock, importance: 0.9, sound: synth:clock, schedule: {kind: loop, beats: 2}}
"""


def test_a_take_with_a_clock_claims_that_it_can_be_rendered_again(tmp_path: Path) -> None:
    """Live on the null clock at 140 BPM: each beat is met within 5 ms, and the sidecar tells of the change."""
    path = tmp_path / "take.wav"
    composition = compose(loads(BEATS), rate_hz=RATE_HZ)
    with Show(composition, driver="null", record=path, log=None) as show:
        pushed: list[Event] = []
        for queue in show._engine.queues:
            listen(queue, pushed.append)
        for _ in range(10):
            show.follow_clock(None, 0.0, time.monotonic())
            show.wait(0.05)
        begin_s = time.monotonic()
        while (now_s := time.monotonic()) < begin_s + 3.0:
            show.follow_clock(140.0, (now_s - begin_s) * 140.0 / 60.0, now_s)
            show.wait(0.1)
        statistics, now_s = show.statistics(), time.monotonic()
        beat_frames = 60.0 / 140.0 * RATE_HZ
        heard = show._heard.frame_at(begin_s, statistics, True) - show.plan_latency_frames
    sidecar = json.loads((tmp_path / "take.wav.json").read_text())
    assert {"tempo"} == {change["what"] for change in sidecar["changes"]}
    assert sidecar["changes"][0]["bpm"] == 140.0
    with pytest.raises(InputError, match="has a 'tempo' at frame"):
        Take.read(tmp_path / "take.wav.json")
    last = max(place for place, event in enumerate(pushed) if event.clip == CUT and event.track == 1)
    moved = [event for event in pushed[last + 1 :] if event.track == 1]
    assert len(moved) > 2
    turns = (np.array([e.start_frame for e in moved]) - heard) / (2.0 * beat_frames)
    assert turns == pytest.approx(np.round(turns), abs=0.005 * RATE_HZ / (2.0 * beat_frames))
    assert len(soundfile.read(path)[0]) > 3 * RATE_HZ


def test_a_latency_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is heard now left the ring by the device's latency ago, and the players by that of the graph before."""
    with Show(compose(loads(BEATS), rate_hz=RATE_HZ), driver="null", log=None, spare=False) as show:
        told: list[Clock] = []
        monkeypatch.setattr(show._stage, "follow", lambda clock: told.append(clock))
        show.device_latency_s = 0.25
        at_s = time.monotonic()
        show.follow_clock(120.0, 3.5, at_s)
        leaves = show._heard.frame_at(at_s, show.statistics(), True)
        assert show.plan_latency_frames > 0
        (clock,) = told
        assert clock.frame == pytest.approx(leaves - 12_000 - show.plan_latency_frames, abs=0.01)
        assert clock[1:] == (3.5, 24_000.0)


def test_what_is_no_tempo_is_followed() -> None:
    with Show(compose(loads(BEATS), rate_hz=RATE_HZ), driver="null", log=None, spare=False) as show:
        for bpm in (None, 0.0, 19.0, 301.0, float("nan"), float("inf")):
            for beats in (0.0, float("nan"), 7.3):
                show.follow_clock(bpm, beats, time.monotonic())
        show.follow_clock(120.0, float("nan"), time.monotonic())
        show.follow_clock(120.0, 0.0, float("inf"))
        assert list(show._log._changes) == []
