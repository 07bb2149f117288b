"""The control surfaces of a show: its MIDI ports, the maps that say what their controls do, and learning."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from engine.control.hands import Hands
from engine.control.midi.learn import Learned, Learner
from engine.control.midi.map_file import learned_path, save_binding
from engine.control.midi.map_schema import MidiMap
from engine.control.midi.mapper import Mapper
from engine.control.midi.maps import default_maps, load_map
from engine.control.midi.ports import MidiPorts
from engine.errors import InputError, RoomtoneError

FOLLOW_S = 0.1
"""How often a clock is told."""

SYSTEM = b"\xf0"
"""From here on a status byte is of no channel: a clock and a sequencer go on while a control is waited for."""

LEARN_S = 20.0
"""How long a parameter waits for a control to be moved."""


class MidiSurface:
    """Plays `target` from MIDI ports, and shows values to them. A context manager.

    `maps` are files, or left out the maps of the user and those built in. `name`, `virtual` and `api` are those of
    `MidiPorts`. `tell` is called with a line for the user, and `follow` some ten times a second with the clock that
    comes in, as `Show.follow_clock` takes it; both on the thread of the ports, as the target is.
    """

    def __init__(
        self,
        target: Hands,
        tell: Callable[[str], object],
        *,
        maps: Sequence[Path] = (),
        name: str | None = None,
        virtual: bool = False,
        api: str = "auto",
        poll_s: float = 0.5,
        follow: Callable[[float | None, float, float], object] | None = None,
    ) -> None:
        # set once
        self._tell = tell
        self._follow = follow
        self._files = tuple(maps)
        # worker only
        self._mapper = Mapper(self._load(), target)
        self._learner = Learner()
        self._armed_until_s = 0.0
        self._followed_s = 0.0
        self._clocked = False
        # shared
        self._wanted: str | None = None
        self._learning = ""
        self.ports = MidiPorts(
            self._take,
            self._flush,
            name=name,
            virtual=virtual,
            api=api,
            poll_s=poll_s,
            on_appeared=self._appeared,
            on_gone=self._gone,
            on_notice=tell,
        )

    def __enter__(self) -> "MidiSurface":
        self.ports.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ports.close()

    @property
    def learning(self) -> str:
        """The parameter that waits for a control; "" if none does."""
        return self._wanted or self._learning

    def learn(self, parameter: str) -> None:
        """Have `parameter` wait for the control that is moved next; it is saved at once. "" gives up waiting."""
        self._wanted = parameter

    def counters(self) -> dict[str, int]:
        """Return what has happened so far: messages, and those of them that came to nothing, by the reason."""
        mapper, ports = self._mapper, self.ports.counters
        return {
            "messages": mapper.messages,
            "unmapped": mapper.unmapped,
            "malformed": mapper.malformed,
            "refused": mapper.refused,
            "thinned": sum(ports.thinned.values()),
            "unsent": ports.unsent,
            "restarts": ports.restarts,
        }

    # worker -------------------------------------------------------------------------------------------------------

    def _load(self) -> list[MidiMap]:
        """The learned bindings hold beside whatever map was asked for."""
        if not self._files:
            return default_maps()
        learned = learned_path()
        before = [load_map(learned)] if learned.exists() else []
        return before + [load_map(file) for file in self._files]

    def _take(self, port: str, data: bytes, at_s: float) -> None:
        if self._learning:
            self._learner.take(port, data, at_s)
        if not self._learning or data[:1] >= SYSTEM:
            self._mapper.take(port, data, at_s)

    def _flush(self) -> None:
        now_s = time.monotonic()
        self._mapper.flush(now_s)
        for port, data in self._mapper.feedback(now_s):
            self.ports.send(port, data)
        for problem in self._mapper.notices():
            self._tell(str(problem))
        if self._follow is not None and now_s >= self._followed_s + FOLLOW_S:
            self._followed_s = now_s
            self._tell_clock(self._follow, now_s)
        if self._wanted is not None:
            self._arm(self._wanted, now_s)
        if self._learning:
            self._look_for_learned(now_s)

    def _tell_clock(self, follow: Callable[[float | None, float, float], object], now_s: float) -> None:
        clock = self._mapper.clock(now_s)
        if clock is not None or self._clocked:
            follow(*(clock or (None, 0.0, now_s)))
        self._clocked = clock is not None

    def _arm(self, parameter: str, now_s: float) -> None:
        self._wanted = None
        self._learning = ""
        self._learner.disarm()
        if not parameter:
            return
        try:
            self._learner.arm(parameter)
        except InputError as error:
            self._tell(str(error))
            return
        self._tell(f"move the control for {parameter}")
        self._learning = parameter
        self._armed_until_s = now_s + LEARN_S

    def _look_for_learned(self, now_s: float) -> None:
        found = self._learner.result(now_s)
        if found is not None:
            self._learning = ""
            self._save(found)
        elif now_s > self._armed_until_s:
            self._tell(f"nothing was moved for {self._learning}")
            self._learning = ""
            self._learner.disarm()

    def _save(self, found: Learned) -> None:
        binding = found.binding
        try:
            save_binding(learned_path(), binding)
            self._mapper.replace_maps(self._load())
        except RoomtoneError as error:
            self._tell(str(error))
            return
        self._tell(f"{binding.parameter} is on {spoken(found)} now, saved in {learned_path()}")

    def _appeared(self, port: str) -> None:
        self._mapper.port_appeared(port)
        self._tell(f"MIDI: {port} is there")

    def _gone(self, port: str) -> None:
        self._mapper.port_gone(port)
        self._tell(f"MIDI: {port} is gone, and waited for")


def spoken(found: Learned) -> str:
    """Return what was moved in words: `CC 21, channel 3, of nanoKONTROL2`."""
    binding = found.binding
    names = {"cc": "CC", "cc14": "14-bit CC", "nrpn": "NRPN", "note": "note", "pitch_bend": "pitch bend"}
    number = f" {binding.numbers[0]}" if binding.kind in ("cc", "cc14", "nrpn", "note") else ""
    mode = f" ({binding.mode})" if binding.mode else ""
    return (
        f"{names.get(binding.kind, binding.kind)}{number}, channel {binding.channel}, of {found.port}{mode}"
    )
