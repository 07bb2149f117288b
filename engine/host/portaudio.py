"""The audio device through PortAudio. sounddevice is imported when a device is wanted, never before.

PortAudio keeps the list of devices it found when it was initialised, and with a JACK server that has died under it,
stopping, closing and even leaving the process normally hang: whoever owns a stream must be ready to be killed.
"""

import sys
import time
from typing import Any

from engine.errors import HostError
from engine.host.callback import CALLBACKS, CallbackState, compiled_callback
from engine.host.protocol import Open
from engine.host.session import Session

MOST_CHANNELS = 64
LOST_AFTER_S = 0.25
LOST_AFTER_BLOCKS = 8
FIRST_CALLBACK_S = 3.0
"""How long a device may take to ask for the first frames: network and Bluetooth devices wake up slowly."""

NO_LIBRARY = (
    "the PortAudio library is missing; install it (Debian and Ubuntu: `apt install libportaudio2`; "
    "Fedora: `dnf install portaudio`; macOS: `brew install portaudio`)"
)
NO_DEVICE = (
    "no audio device found (PortAudio sees none); plug one in or start JACK or PipeWire, then see "
    "`roomtone devices`"
)


class Unavailable(Exception):
    """There is no such device now. The text is `what is wrong; what to do about it`."""


def load_sounddevice() -> Any:
    """Import sounddevice, which loads and initialises PortAudio; raises Unavailable without the library."""
    try:
        import sounddevice
    except OSError as error:  # what sounddevice raises where the library is not found
        raise Unavailable(NO_LIBRARY) from error
    except Exception as error:  # PortAudioError: the library is there and cannot begin
        raise Unavailable(f"PortAudio does not start ({error}); see `roomtone devices`") from error
    return sounddevice


def leave_server() -> None:
    """Have PortAudio take leave of the audio server, if it was ever loaded: JACK would keep a dead client."""
    sd: Any = sys.modules.get("sounddevice")
    if sd is not None:
        sd._terminate()


class PortAudioDriver:
    """A stream on an output device whose callback drains the ring; opened by the constructor.

    Raises Unavailable if there is no such device, HostError if it cannot play at the rate that is asked for.
    """

    name = "portaudio"

    def __init__(self, session: Session, wish: Open) -> None:
        # set once
        sd = load_sounddevice()
        number = _find_device(sd, wish.device)
        info = sd.query_devices(number)
        api = sd.query_hostapis(info["hostapi"])["name"]
        self.device = f"{info['name']} ({api})"
        self._counters = session.counters
        self._callback = compiled_callback()
        spec = wish.spec
        # JACK's period is the server's: to ask for another only makes PortAudio cut it up.
        blocksize = wish.blocksize_frames or (0 if "JACK" in api else spec.quantum_frames)
        self._stream: Any = None
        error: Exception | None = None
        most = int(info["max_output_channels"])
        for channels in dict.fromkeys((min(2, most), min(most, MOST_CHANNELS))):
            self._state = CallbackState(
                session.ring, session.counters, spec.rate_hz, channels, fade_in=wish.first_frame > 0
            )
            try:
                self._stream = sd._StreamBase(
                    "output",
                    samplerate=spec.rate_hz,
                    blocksize=blocksize,
                    device=number,
                    channels=channels,
                    dtype="float32",
                    latency="low",
                    callback=sd._ffi.cast("PaStreamCallback*", self._callback.address),
                    userdata=sd._ffi.cast("void*", self._state.address),
                )
                break
            except sd.PortAudioError as problem:
                error = error or problem
        if self._stream is None:
            raise _refused(sd, error, self.device, api, spec.rate_hz, float(info["default_samplerate"]))
        self.latency_s = float(self._stream.latency)
        self.device_frames = max(spec.quantum_frames, round(self.latency_s * spec.rate_hz))
        self._patience_s = max(LOST_AFTER_S, LOST_AFTER_BLOCKS * self.device_frames / spec.rate_hz)
        # DSP loop only
        self._heartbeat = 0
        self._heard_at_s = 0.0

    def start(self) -> None:
        """Start the stream; raises HostError."""
        try:
            self._stream.start()
        except Exception as error:
            raise HostError(
                f"{self.device} does not start: {_sentence(error)}; see `roomtone devices`"
            ) from error
        self._heard_at_s = time.monotonic()

    def advance(self) -> None:
        """Nothing to do: the device asks on a thread of its own."""

    def lost(self) -> bool:
        """Say whether the device has not asked for so long that it will not again."""
        heartbeat = int(self._counters[CALLBACKS])
        now = time.monotonic()
        if heartbeat != self._heartbeat:
            self._heartbeat = heartbeat
            self._heard_at_s = now
        patience_s = self._patience_s if heartbeat else FIRST_CALLBACK_S
        return now - self._heard_at_s > patience_s

    def abandon(self) -> None:
        """Mute the callback, should it come to life again, and leave the stream alone: closing it could hang."""
        self._state.mute()

    def close(self) -> None:
        """Let the device play out what it has, then close the stream."""
        self._stream.stop()
        self._stream.close()


def _find_device(sd: Any, wish: str | None) -> int:
    """Return the number of the output device whose name holds `wish` (or the default); raises Unavailable."""
    devices = [(n, d) for n, d in enumerate(sd.query_devices()) if d["max_output_channels"] > 0]
    if not devices:
        raise Unavailable(NO_DEVICE)
    if wish is None:
        default = sd.default.device[1]
        default = (
            default if default >= 0 else sd.query_hostapis(devices[0][1]["hostapi"])["default_output_device"]
        )
        return int(default) if default >= 0 else devices[0][0]
    names = {n: f"{d['name']}, {sd.query_hostapis(d['hostapi'])['name']}" for n, d in devices}
    wanted = wish.lower()
    exact = [n for n, d in devices if wanted in (str(d["name"]).lower(), names[n].lower())]
    matches = exact or [
        n for n, name in names.items() if all(word in name.lower() for word in wanted.split())
    ]
    if len(matches) == 1:
        return matches[0]
    listed = "; ".join(names[n] for n in matches or names)
    if matches:
        raise Unavailable(f"{wish!r} names several devices; say which: {listed}")
    raise Unavailable(f"there is no output device {wish!r}; there is: {listed}")


def _refused(
    sd: Any, error: Exception | None, device: str, api: str, rate_hz: int, own_hz: float
) -> Exception:
    """Say why the stream could not be opened, with what to do about it."""
    code = error.args[1] if error is not None and len(error.args) > 1 else None
    if code == sd._lib.paInvalidSampleRate:
        who = "the JACK server" if "JACK" in api else device
        return HostError(
            f"{who} runs at {own_hz:.0f} Hz and does not play {rate_hz} Hz: start with `--rate {own_hz:.0f}`"
        )
    if code == sd._lib.paDeviceUnavailable:
        return Unavailable(f"{device} is busy; close the program that uses it, or choose another device")
    return Unavailable(f"{device} cannot be opened ({_sentence(error)}); see `roomtone devices`")


def _sentence(error: Exception | None) -> str:
    return str(error.args[0]) if error is not None and error.args else "no reason given"
