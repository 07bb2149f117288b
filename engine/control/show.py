"""A scene played live: the control side of one engine process."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from dsp.units import ms_to_frames
from engine.control.feeder import Feeder
from engine.control.masking import MaskingMoment, masking_moment
from engine.control.patch import default_graph
from engine.control.recorder import Recorder
from engine.errors import HostError, InputError, Problem
from engine.host.engine_handle import EngineHandle
from engine.host.protocol import DriverName
from engine.host.session import EngineStatistics
from engine.messages import Failed, Fault, Notice, Started, Stopped, Swapped
from engine.meters import MeterTable
from engine.params import ParamTable
from engine.scene.composition import Composition, compose
from engine.scene.schema import Scene
from engine.spec import StreamSpec

STOP_FADE_MS = 50.0
KEEPER_INTERVAL_S = 0.05
DEFAULT_RATE_HZ = 48_000
BUILD_TIMEOUT_S = 120.0
"""How long an engine may take to build its graph: on the first run it compiles its kernels."""


class Show:
    """Plays a scene through an audio device, or silently to the null clock where there is none.

    `scene` is a `Scene`, or a composition that is ready and has its own `seed` and `rate_hz`. `device` is part of a
    device's name; `driver` is `auto`, `portaudio` or `null`; `safety_quanta` is how far the engine is ahead of the
    device; `record` is a .wav or .flac file that keeps what is played; it is opened when playing starts; `settings`
    are values of parameters from the first sample on, instead of the scene's.

    A context manager: playing starts on entry and fades out on exit. Raises RoomtoneError (InputError for what
    the user can mend, HostError for a device or an engine that fails).
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
        safety_quanta: int = 4,
        record: Path | str | None = None,
        settings: Mapping[str, float | str] | None = None,
    ) -> None:
        if isinstance(scene, Scene):
            scene = compose(scene, rate_hz=DEFAULT_RATE_HZ if rate_hz is None else rate_hz, seed=seed)
        elif seed is not None or rate_hz is not None:
            field = "seed" if seed is not None else "rate_hz"
            raise InputError(Problem("a composition has its own", "give it to `compose`, or a scene", field))
        self.composition = scene
        self.spec = StreamSpec(scene.rate_hz, quantum_frames)
        self._graph = default_graph(scene)
        if record is not None:
            scene.spare(Path(record))
        self._recorder = Recorder(Path(record), scene.rate_hz) if record is not None else None
        self._engine = EngineHandle(self.spec, device=device, driver=driver, safety_quanta=safety_quanta)
        try:
            self.params = ParamTable.of(self._graph.params(), memory=self._engine.params)
            for name, value in (settings or {}).items():
                self.params.set(name, value)
            self.meters = MeterTable.of(self._graph.meters(), memory=self._engine.meters)
            self._feeder = Feeder(scene.timeline(), self._engine.events, scene.rate_hz)
        except BaseException:
            self._engine.close()
            raise
        self._leaving = threading.Event()
        self._stopped = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="roomtone keeper", daemon=True)
        self._failure: Exception | None = None
        self.driver = ""
        self.device = ""
        self.device_latency_s = 0.0
        self.plan_latency_frames = 0
        self.notices: list[str] = []

    def start(self) -> None:
        """Build the graph in the engine, open the device, play."""
        engine = self._engine
        engine.share_clips({i: m.samples for i, m in enumerate(self.composition.materials)})
        self._feeder.feed(0)
        engine.swap(self._graph, self.params.slot_map, self.meters.slot_map)
        self.plan_latency_frames = engine.wait_for(Swapped, BUILD_TIMEOUT_S).latency_frames
        if self._recorder:
            self._recorder.start(engine.tap())
        engine.start()
        started = engine.wait_for(Started, BUILD_TIMEOUT_S)
        self.driver, self.device, self.device_latency_s = started.driver, started.device, started.latency_s
        self._take_messages()
        self._keeper.start()

    def set(self, name: str, value: float | str) -> None:
        """Turn a parameter (`room.wet_level`, `mix.car.panning`) to `value`, or a switch to a choice's name.

        Raises ParamError if it is refused.
        """
        self.params.set(name, value)

    def get(self, name: str) -> float:
        """Return the present value of a parameter."""
        return self.params.get(name)

    def masking(self, per_band: bool = False) -> MaskingMoment:
        """Return who masks whom now, before and after unmasking; `per_band` also in which of the 25 bands."""
        return masking_moment(self.meters, tuple(t.name for t in self.composition.tracks), per_band)

    @property
    def frame(self) -> int:
        """The absolute frame that is rendered next."""
        return self.statistics().frame_rendered

    def statistics(self) -> EngineStatistics:
        """Return how the engine is doing now."""
        return self._engine.statistics()

    def wait(self, seconds: float) -> None:
        """Play on for `seconds`; raises HostError if the engine fails meanwhile."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0.0 and not self._stopped.wait(min(left_s, 0.1)):
            self.check()
        self.check()

    def check(self) -> None:
        """Raise what made the engine or the recording fail, if anything did."""
        if self._failure:
            raise self._failure

    def stop(self, fade_ms: float = STOP_FADE_MS, at_frame: int | None = None) -> None:
        """Fade out, at once or from `at_frame` on; does not wait."""
        self._engine.stop(ms_to_frames(fade_ms, self.spec.rate_hz), at_frame)

    @property
    def stopped(self) -> bool:
        """True once silence is reached after `stop`."""
        return self._stopped.is_set()

    @property
    def recording(self) -> Path | None:
        """The file that holds the recording, once the show is closed; None if there is none."""
        return self._recorder.path if self._recorder and self._recorder.finished else None

    def close(self) -> None:
        """Fade out if it still plays, finish the recording, end the engine; without a start, leave no file."""
        started = self._keeper.ident is not None
        if self._keeper.is_alive():
            if not self._failure and not self._stopped.is_set():
                self.stop()
                self._stopped.wait(2.0)
            self._leaving.set()
            self._keeper.join()
        try:
            if self._recorder and started:
                self._recorder.finish()
            elif self._recorder:
                self._recorder.discard()
        finally:
            self._engine.close()

    def __enter__(self) -> "Show":
        try:
            self.start()
        except BaseException:
            if self._recorder:
                self._recorder.discard()
            self._leaving.set()
            self._engine.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keep(self) -> None:
        """Keep the queue filled and the recording up to date, until told to leave."""
        while not self._leaving.wait(KEEPER_INTERVAL_S) and self._failure is None:
            try:
                self._feeder.feed(self.frame)
                if self._recorder:
                    self._recorder.take()
                self._take_messages()
            except Exception as error:
                # Nobody waits for this thread: whatever ends it is raised where the show is used.
                self._failure = error
                self._stopped.set()

    def _take_messages(self) -> None:
        for message in self._engine.poll():
            match message:
                case Notice(text):
                    self.notices.append(text)
                case Fault(node, frame, what):
                    self.notices.append(f"{node} at frame {frame}: {what}")
                case Stopped():
                    self._stopped.set()
                case Failed(what):
                    raise HostError(what)
                case _:
                    pass
