"""What takes the sound out of the ring: an audio device through PortAudio, or the null clock."""

import contextlib
from typing import NamedTuple, Protocol

from engine.errors import HostError
from engine.host.callback import compiled_callback
from engine.host.device_choice import Unavailable, load_sounddevice
from engine.host.null_clock import NullClock
from engine.host.portaudio import PortAudioDriver, leave_server
from engine.host.protocol import Open
from engine.host.session import Session


class Driver(Protocol):
    """Takes frames out of the ring of a session at the pace of a clock of its own.

    Attributes: `name` of the driver, `device` it plays on, `latency_s` from the ring to the ear as reported,
    `input_latency_s` from the microphone to the input ring (0 without an input), `device_frames`, about how many frames
    it takes at once.
    """

    name: str
    device: str
    latency_s: float
    input_latency_s: float
    device_frames: int

    def start(self) -> None:
        """Begin to take frames; the ring is filled."""
        ...

    def advance(self) -> None:
        """Take what is due; called by the DSP loop between quanta, for drivers without a thread of their own."""
        ...

    def lost(self) -> bool:
        """Say whether the device has stopped asking for frames for good."""
        ...

    def abandon(self) -> None:
        """Never touch the session again; the device is not to be called any more."""
        ...

    def close(self) -> None:
        """Play out what the device has already taken, and let go of it. May hang if the device does."""
        ...


class Opened(NamedTuple):
    """A driver that is ready to start, and what the user should know about the choice, if anything."""

    driver: Driver
    notice: str | None


def open_driver(wish: Open, session: Session) -> Opened:
    """Open what `wish` asks for. Without a device to play on, it is the null clock and a notice with the remedy.

    Raises HostError if a device was named (or PortAudio demanded) and cannot be had, or if it does not play at
    the rate that is asked for.
    """
    if wish.driver == "null":
        return Opened(NullClock(session, wish.spec), None)
    try:
        driver = PortAudioDriver(session, wish)
        return Opened(driver, driver.notice)
    except Unavailable as problem:
        if wish.device is not None or wish.driver == "portaudio":
            raise HostError(str(problem)) from problem
        reason, _, remedy = str(problem).partition("; ")
        return Opened(
            NullClock(session, wish.spec), f"{reason}: playing silently to the null clock; {remedy}"
        )


def get_ready(wish: Open) -> None:
    """Do ahead what `open_driver` would spend its time on; may hang if an audio server does."""
    if wish.driver != "null":
        compiled_callback()
        with contextlib.suppress(Unavailable):
            load_sounddevice()


def leave_device(driver: Driver | None) -> None:
    """Close `driver` and leave the audio server; nothing can be opened afterwards. May hang if the device does."""
    if driver is not None:
        with contextlib.suppress(Exception):
            driver.close()
    leave_server()
