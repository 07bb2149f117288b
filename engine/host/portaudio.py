"""The audio device through PortAudio. sounddevice is imported when a device is wanted, never before.

PortAudio keeps the list of devices it found when it was initialised, and with a JACK server that has died under it,
stopping, closing and even leaving the process normally hang: whoever owns a stream must be ready to be killed.
"""

import sys
import time
from typing import Any

from engine.errors import HostError
from engine.host.callback import CALLBACKS, DEVICE_FRAMES, INPUT_CHANNELS, CallbackState, compiled_callback
from engine.host.device_choice import Unavailable, find_input, find_output, label, load_sounddevice
from engine.host.protocol import Open
from engine.host.session import Session

MOST_CHANNELS = 64
LOST_AFTER_S = 0.2
LOST_AFTER_BLOCKS = 8
LOOK_INTERVAL_S = 0.02
"""How often the stream is asked whether it is active: with a dead JACK server it says so within milliseconds."""

FIRST_CALLBACK_S = 3.0
"""How long a device may take to ask for the first frames: network and Bluetooth devices wake up slowly."""


def leave_server() -> None:
    """Have PortAudio take leave of the audio server, if it was ever loaded: JACK would keep a dead client."""
    sd: Any = sys.modules.get("sounddevice")
    if sd is not None:
        sd._terminate()


class PortAudioDriver:
    """A stream on an output device whose callback drains the ring; opened by the constructor.

    With `input_channels` it is a full-duplex one; where the device does not play along, output alone, and `notice`
    says why. Raises Unavailable if there is no such device, HostError if it cannot play at the rate that is asked for.
    """

    name = "portaudio"

    def __init__(self, session: Session, wish: Open) -> None:
        # set once
        sd = load_sounddevice()
        number = find_output(sd, wish.device)
        info = sd.query_devices(number)
        api = sd.query_hostapis(info["hostapi"])["name"]
        self.device = label(sd, info)
        self.notice: str | None = None
        self._counters = session.counters
        self._callback = compiled_callback()
        rate_hz = wish.spec.rate_hz
        # JACK's period is the server's: to ask for another only makes PortAudio cut it up.
        blocksize = wish.blocksize_frames or (0 if "JACK" in api else wish.spec.quantum_frames)
        self._stream: Any = None
        error: Exception | None = None
        most = int(info["max_output_channels"])
        source = self._source(sd, wish, number) if wish.input_channels else None
        for channels_in, channels in (
            (into, out)
            for into in ((wish.input_channels, 0) if source is not None else (0,))
            for out in dict.fromkeys((min(2, most), min(most, MOST_CHANNELS)))
        ):
            self._state = CallbackState(
                session.ring,
                session.counters,
                session.underruns,
                rate_hz,
                channels,
                fade_in_ms=wish.fade_in_ms,
                inputs=session.inputs,
                channels_in=channels_in,
                intervals=session.intervals,
            )
            try:
                self._stream = sd._StreamBase(
                    "duplex" if channels_in else "output",
                    samplerate=rate_hz,
                    blocksize=blocksize,
                    device=(source, number) if channels_in else number,
                    channels=(channels_in, channels) if channels_in else channels,
                    dtype="float32",
                    latency=wish.latency,
                    callback=sd._ffi.cast("PaStreamCallback*", self._callback.address),
                    userdata=sd._ffi.cast("void*", self._state.address),
                )
                session.inputs.counters[1] = channels_in
                break
            except sd.PortAudioError as problem:
                error = error or problem
        if self._stream is None:
            raise _refused(sd, error, self.device, api, rate_hz, float(info["default_samplerate"]))
        if source is not None and not channels_in:
            self.notice = (
                f"no live input: {self.device} does not play and record at once ({_sentence(error)})"
            )
        latency = self._stream.latency
        self.latency_s = float(latency[1] if channels_in else latency)
        self.input_latency_s = float(latency[0]) if channels_in else 0.0
        self.device_frames = max(wish.spec.quantum_frames, round(self.latency_s * rate_hz))
        self._rate_hz = rate_hz
        # DSP loop only
        self._heartbeat = 0
        self._silent_s = 0.0
        self._asked_at_s = 0.0
        self._look_at_s = 0.0

    def _source(self, sd: Any, wish: Open, output: int) -> int | None:
        """Return the number of the input device; None, with a notice, if there is none that can do it."""
        wanted = min(wish.input_channels, INPUT_CHANNELS)
        try:
            number = find_input(sd, wish.input_device, output)
        except Unavailable as problem:
            self.notice = f"no live input: {problem}"
            return None
        info = sd.query_devices(number)
        if info["max_input_channels"] < wanted:
            self.notice = (
                f"no live input: {info['name']} has {info['max_input_channels']} of {wanted} input channels"
            )
            return None
        return number

    def start(self) -> None:
        """Start the stream; raises HostError."""
        try:
            self._stream.start()
        except Exception as error:
            raise HostError(
                f"{self.device} does not start: {_sentence(error)}; see `roomtone devices`"
            ) from error
        self._asked_at_s = time.monotonic()

    def advance(self) -> None:
        """Nothing to do: the device asks on a thread of its own."""

    def lost(self) -> bool:
        """Say whether the device has gone, or has not asked for so long that it will not again."""
        now_s = time.monotonic()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_INTERVAL_S
            if not self._active():
                return True
        # A machine that stood still as a whole, this thread included, is no lost device.
        self._silent_s += min(now_s - self._asked_at_s, LOOK_INTERVAL_S)
        self._asked_at_s = now_s
        heartbeat = int(self._counters[CALLBACKS])
        if heartbeat != self._heartbeat:
            self._heartbeat = heartbeat
            self._silent_s = 0.0
        blocks_s = LOST_AFTER_BLOCKS * int(self._counters[DEVICE_FRAMES]) / self._rate_hz
        return self._silent_s > (max(LOST_AFTER_S, blocks_s) if heartbeat else FIRST_CALLBACK_S)

    def _active(self) -> bool:
        try:
            return bool(self._stream.active)
        except Exception:  # PortAudioError: it does not even know any more
            return False

    def abandon(self) -> None:
        """Mute the callback, should it come to life again, and leave the stream alone: closing it could hang."""
        self._state.mute()

    def close(self) -> None:
        """Let the device play out what it has, then close the stream."""
        self._stream.stop()
        self._stream.close()


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
