"""A scene played live: the control side of an engine process, with all that can be done to it while it sounds."""

import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from dsp.units import ms_to_frames, seconds_to_frames
from engine.control.heard import HeardClock
from engine.control.incidents import Incident, Incidents, default_log
from engine.control.recorder import Recorder
from engine.control.show_state import ShowState
from engine.control.stage import Stage
from engine.control.supervisor import Supervisor
from engine.control.take_log import TakeLog
from engine.control.underruns import UnderrunLog
from engine.errors import HostError, InputError, NoAnswer, Problem
from engine.host.engine_handle import EngineHandle
from engine.host.probe import DeviceProbe
from engine.host.protocol import DriverName
from engine.messages import Built, DeviceLost, Failed, Fault, Notice, Started, Stopped, ToControl
from engine.params import spoken
from engine.scene.composition import Composition, compose, made_ready
from engine.scene.schema import Scene
from engine.spec import StreamSpec

LIVE_INPUT = "engine.nodes.live_input"
"""Imported, and compiled if need be, before anything that may need it plays or is locked."""

STOP_FADE_MS = 50.0
GO_S = 4.0
KEEPER_INTERVAL_S = 0.02
DEFAULT_RATE_HZ = 48_000
MAX_SEEK_S = 86_400.0
DEVICE_TIMEOUT_S = 15.0
"""How long a device may take to be opened at first: beyond, its driver hangs."""
TRIGGER_LEAD_MS = 6.0
"""How far ahead of what is rendered a triggered sound begins, 2 quanta at least: longer than the interpreter may be
held by another thread, so that none loses its first frames."""

BUILD_TIMEOUT_S = 120.0
"""How long an engine may take to build its graph: on the first run it compiles its kernels."""


class Show(ShowState):
    """Plays a scene through an audio device, or silently to the null clock where there is none.

    `scene` is a `Scene`, or a composition that is ready and has its own `seed` and `rate_hz`. `device` is part of a
    device's name; `driver` is `auto`, `portaudio` or `null`; `safety_quanta` is how far the engine is ahead of the
    device, and with `adapt` it goes further ahead after an under-run; `buffer_frames` and `latency` (`low`, `high` or
    seconds) are what the device is asked for; `input_device` is part of the name of the one that scenes with a live
    input listen to (left out, the same device), and `input_channels` how many of its channels are taken (left out, as
    many as the first scene needs). `record` is a .wav or .flac file that keeps what is played; it is
    opened when playing starts. `settings` are values of parameters from the first sample on, instead of the scene's.
    `log` is where incidents are noted as JSON lines (default: `engine.control.incidents.default_log()`; None: nowhere);
    `on_incident` is called with each, on a thread of the show. With `spare` a second engine process waits to take over.

    A context manager: playing starts on entry and fades out on exit. In a notebook, call `start` and `close`. Raises
    RoomtoneError (InputError for what the user can mend, HostError for a device or an engine that cannot be healed).
    """

    def __init__(
        self,
        scene: Scene | Composition,
        *,
        seed: int | None = None,
        rate_hz: int | None = None,
        quantum_frames: int = 128,
        device: str | None = None,
        driver: DriverName = "auto",
        safety_quanta: int = 2,
        adapt: bool = False,
        buffer_frames: int | None = None,
        latency: float | Literal["low", "high"] = "low",
        input_device: str | None = None,
        input_channels: int | None = None,
        record: Path | str | None = None,
        settings: Mapping[str, float | str] | None = None,
        log: Path | str | Literal["default"] | None = "default",
        on_incident: Callable[[Incident], None] | None = None,
        spare: bool = True,
    ) -> None:
        if isinstance(scene, Scene):
            scene = compose(scene, rate_hz=DEFAULT_RATE_HZ if rate_hz is None else rate_hz, seed=seed)
        elif seed is not None or rate_hz is not None:
            field = "seed" if seed is not None else "rate_hz"
            raise InputError(Problem("a composition has its own", "give it to `compose`, or a scene", field))
        self.spec = StreamSpec(scene.rate_hz, quantum_frames)
        self.incidents = Incidents(
            default_log() if log == "default" else Path(log) if log is not None else None,
            demanded=log != "default",
            listener=on_incident,
        )
        self._demands_device = device is not None or driver == "portaudio"
        self._recorder: Recorder | None = None
        if record is not None:
            scene.spare(Path(record))
            self._recorder = Recorder(Path(record), scene.rate_hz)
        self._input_channels = scene.scene.input_channels if input_channels is None else input_channels
        if self._input_channels:
            import_module(LIVE_INPUT)
        self._engine = EngineHandle(
            self.spec,
            device=device,
            driver=driver,
            safety_quanta=safety_quanta,
            adapt=adapt,
            blocksize_frames=buffer_frames,
            latency=latency,
            input_device=input_device,
            input_channels=self._input_channels,
            modules=(LIVE_INPUT,) if self._input_channels else (),
            spare=spare,
        )
        self._stage = Stage(self._engine, scene.rate_hz, self.tell)
        self._supervisor = Supervisor(
            self._engine, DeviceProbe(), self.incidents, self._rewind, self._stage.lock
        )
        self._log = TakeLog(self._engine.moves, recording=record is not None)
        self._heard = HeardClock(scene.rate_hz)
        self._leaving = threading.Event()
        self._stopped = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="roomtone keeper", daemon=True)
        self._stop: tuple[int, int | None] | None = None
        self._failure: Exception | None = None
        self._underruns = UnderrunLog(self._engine, self.incidents)
        self.driver = ""
        self.device = ""
        self.device_latency_s = 0.0
        try:
            self._stage.open(scene, settings)
        except BaseException:
            self._engine.close()
            raise

    def start(self) -> "Show":
        """Build the graph in the engine, open the device, play. Where that fails, nothing is left."""
        if self._keeper.ident is not None:
            return self
        try:
            self._begin()
        except BaseException:
            if self._recorder:
                self._recorder.discard()
            self._leaving.set()
            self._supervisor.stop()
            self._engine.close()
            raise
        self._keeper.start()
        return self

    def _begin(self) -> None:
        engine = self._engine
        self._stage.take(engine.wait_for(Built, BUILD_TIMEOUT_S))
        if self._recorder:
            self._recorder.start(engine.tap())
        engine.start()
        try:
            started = engine.wait_for(Started, DEVICE_TIMEOUT_S)
        except NoAnswer:
            engine.end_engine()
            if self._demands_device:
                raise HostError("the audio driver does not answer: restart JACK or PipeWire") from None
            what = "the audio driver does not answer: playing silently to the null clock; restart JACK or PipeWire"
            self.tell("driver-hung", what)
            self._stage.rewind(engine.frame)
            engine.revive(driver="null")
            started = engine.wait_for(Started, DEVICE_TIMEOUT_S)
        self._take(started)
        self._take_messages()

    def __repr__(self) -> str:
        """Say what plays where, for a notebook."""
        title = self.composition.scene.title
        if not self.device:
            return f"<Show of {title!r}, not started>"
        state = "stopped" if self.stopped else "paused" if self.paused else f"at {self.position_s:.1f} s"
        return f"<Show of {title!r} on {self.device}, {state}>"

    # what can be done ---------------------------------------------------------------------------------------------

    def set(self, name: str, value: float | str) -> None:
        """Turn a parameter (`room.wet_level`, `mix.car.panning`) to `value`, or a switch to a choice's name.

        Raises ParamError if it is refused.
        """
        self._stage.set(name, value)

    def get(self, name: str) -> float:
        """Return the present value of a parameter."""
        return self.params.get(name)

    def go(self, scene: Scene | Composition, seconds: float = GO_S) -> None:
        """Cross over to `scene` within `seconds` (0 to 600; below 0.02 a cut that does not click) with equal power.

        Loading it takes the time it takes; this returns when the cross-fade is about to begin. From then on
        parameters and meters are those of the new scene. Raises InputError for what cannot be used; then the sound
        stays as it is.
        """
        if not 0.0 <= seconds <= 600.0:
            raise InputError(Problem(f"{seconds:g} seconds", "0 to 600", "seconds"))
        composition = self._composed(scene)
        self._stage.go(composition, seconds_to_frames(seconds, self.spec.rate_hz))
        self._log.change(self.frame, "go", scene=composition.scene.title)

    def edit(self, scene: Scene | Composition) -> None:
        """Make the playing scene into `scene`, an edited version of it: what is the same in both goes on undisturbed.

        New tracks begin, tracks that are gone fade out, changed values glide; what was turned by hand and is not
        changed in the scene stays. Raises InputError for what cannot be used; then the sound stays as it is.
        """
        self._stage.edit(self._composed(scene))
        self._log.change(self.frame, "edit")

    def trigger(self, track: str | int) -> None:
        """Have the next sound of a track (its name, or its number from 1) begin at once, beside what it plays anyway.

        A track with several sounds takes them in turn. Raises InputError for a track that is not there.
        """
        lead_frames = ms_to_frames(TRIGGER_LEAD_MS, self.spec.rate_hz)
        with self._stage.lock:
            frame = self.frame
            event = self._stage.trigger(track, max(lead_frames, 2 * self.spec.quantum_frames))
            self._log.change(frame, "trigger", event=event)

    def pause(self) -> None:
        """Fade the sounds out and stand still; the room rings out."""
        with self._stage.lock:
            self._log.change(self.frame, "pause", at_frame=self._stage.pause())

    def play(self) -> None:
        """Go on after `pause`."""
        with self._stage.lock:
            self._log.change(self.frame, "play", at_frame=self._stage.play())

    def seek(self, frame: int) -> None:
        """Go on, or stand, at `frame` of the scene, within a day."""
        last = round(MAX_SEEK_S * self.spec.rate_hz)
        if not 0 <= frame <= last:
            raise InputError(Problem(f"frame {frame}", f"0 to {last}, a day", "frame"))
        with self._stage.lock:
            self._log.change(self.frame, "seek", to_frame=frame, at_frame=self._stage.seek(frame))

    def follow_clock(self, bpm: float | None, beats: float, at_s: float) -> None:
        """Bring loops with `beats`, in scenes with `clock: midi`, to a clock; to be called about ten times a second.

        At `at_s`, on the clock of `time.monotonic`, it stood at `beats` quarter notes since its start, and it runs at
        `bpm`; None, or beyond 20 to 300: it has stopped or gone, and the loops go on at the last tempo.
        """
        if not self.device:
            return
        latency_frames = self.plan_latency_frames + self.device_latency_s * self.spec.rate_hz
        with self._stage.lock:
            now = self._engine.statistics()
            self._heard.read(now, time.monotonic())
            clock = self._heard.clock(bpm, beats, at_s, now, self.driver == "null", latency_frames)
            if clock is not None and self._stage.follow(clock):
                self._log.change(self.frame, "tempo", bpm=bpm)

    def stop(self, fade_ms: float = STOP_FADE_MS, at_frame: int | None = None) -> None:
        """Fade out for good, at once or from the engine's `at_frame` on; does not wait."""
        self._stop = ms_to_frames(fade_ms, self.spec.rate_hz), at_frame
        self._engine.stop(*self._stop)

    @property
    def stopped(self) -> bool:
        """True once silence is reached after `stop`."""
        return self._stopped.is_set()

    def wait(self, seconds: float) -> None:
        """Play on for `seconds`; raises HostError if the engine fails for good meanwhile."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0.0 and not self._stopped.wait(min(left_s, 0.1)):
            self.check()
        self.check()

    def check(self) -> None:
        """Raise what made the show or the recording fail, if anything did."""
        if self._failure:
            raise self._failure

    @property
    def recording(self) -> Path | None:
        """The file that holds the recording, once the show is closed; None if there is none."""
        return self._recorder.path if self._recorder and self._recorder.finished else None

    def close(self) -> None:
        """Fade out if it still plays, finish the recording, end the engine; without a start, leave no file."""
        started = self._keeper.ident is not None
        try:
            if self._keeper.is_alive():
                if not self._failure and not self._stopped.is_set():
                    self.stop()
                    self._stopped.wait(2.0)
                self._leaving.set()
                self._keeper.join()
        finally:
            self._leaving.set()
            self._supervisor.stop()
            try:
                if self._recorder and started:
                    self._recorder.finish(self._sidecar())
                elif self._recorder:
                    self._recorder.discard()
            finally:
                self._engine.close()

    def __enter__(self) -> "Show":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # how it goes on -----------------------------------------------------------------------------------------------

    def _composed(self, scene: Scene | Composition) -> Composition:
        scene = made_ready(scene, self.composition)
        if scene.scene.input_channels:
            import_module(LIVE_INPUT)
        if self._recorder:
            scene.spare(self._recorder.path)
        if scene.scene.input_channels > self._input_channels:
            had = f"only {self._input_channels} input channels" if self._input_channels else "no input"
            what = f"{scene.scene.title} listens to an input, and the device was opened with {had}"
            self.tell("notice", what)
        return scene

    def _keep(self) -> None:
        """Look after everything, until told to leave."""
        while not self._leaving.wait(KEEPER_INTERVAL_S) and self._failure is None:
            try:
                self._take_messages()
                self._stage.tick()
                if self._recorder:
                    self._recorder.take()
                    self._log.take(self.params)
                if not self._stopped.is_set():
                    self._supervisor.tick()
                self._underruns.take()
            except Exception as error:
                # Nobody waits for this thread: whatever ends it is raised where the show is used.
                self._failure = error
                self._stopped.set()

    def _take_messages(self) -> None:
        for message in self._engine.poll():
            self._take(message)

    def _take(self, message: ToControl) -> None:
        if isinstance(message, Failed) and self._stopped.is_set():
            return
        self._stage.take(message)
        if isinstance(message, Started):
            self._heard = HeardClock(self.spec.rate_hz)
            first = not self.device
            self.driver, self.device, self.device_latency_s = (
                message.driver,
                message.device,
                message.latency_s,
            )
            modules = {type(node).__module__ for node in self._stage.graph.nodes.values()}
            self._engine.ready_spare(tuple(sorted(modules)))
            if message.rights and first:
                self.tell("rights", message.rights)
        if isinstance(message, DeviceLost):
            self.driver, self.device, self.device_latency_s = "null", "null clock", 0.0
        if self._supervisor.take(message):
            return
        match message:
            case Notice(text):
                self.tell("notice", text)
            case Fault(node, frame, what):
                self.incidents.report("fault", f"{spoken(node)} at frame {frame}: {what}", frame, node=node)
            case Stopped():
                self._log.end(message)
                self._stopped.set()
            case _:
                pass

    def tell(self, kind: str, text: str) -> None:
        """Note an incident: a word for programs, a line for the user."""
        self.incidents.report(kind, text, self.frame)

    def _rewind(self, frame: int) -> None:
        self._log.change(frame, "engine")
        self._stage.rewind(frame)

    def _sidecar(self) -> dict[str, Any]:
        self._log.take(self.params)
        return self._log.told(self.spec, self.composition, self.underruns, self.incidents.all)
