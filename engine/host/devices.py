"""Which audio devices there are. Asked in a throw-away process: PortAudio's list is frozen once it is initialised,
a dead audio server can hang it, and the drivers' chatter must not reach the terminal.
"""

import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import HostError
from engine.host.ask import ask
from engine.host.child import python_command, python_environment

TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """One device as PortAudio reports it; latencies are of its output. `is_default` is what plays unasked."""

    name: str
    host_api: str
    output_channels: int
    input_channels: int
    rate_hz: float
    low_latency_s: float
    high_latency_s: float
    is_default: bool


@dataclass(frozen=True, slots=True)
class Output:
    """The device that plays unasked, `name` as users read it, and why it does not play at a rate it was asked for.

    `refusal` is "" where it does, "rate", "busy", or PortAudio's own words; `rate_hz` is its own rate.
    """

    name: str
    host_api: str
    rate_hz: float
    refusal: str


@dataclass(frozen=True, slots=True)
class PortAudio:
    """The library, what it sees, and what it would play on (None: nothing)."""

    version: str
    library: str
    devices: tuple[DeviceInfo, ...]
    output: Output | None


def list_devices(timeout_s: float = TIMEOUT_S) -> list[DeviceInfo]:
    """Return all devices there are now, perhaps none.

    Raises HostError, with the remedy, where the PortAudio library is missing or an audio server does not answer.
    """
    return list(ask_portaudio(timeout_s).devices)


def ask_portaudio(timeout_s: float = TIMEOUT_S, rate_hz: int | None = None) -> PortAudio:
    """Return what PortAudio sees now; with `rate_hz` also whether the output that plays unasked would play at it.

    Raises HostError as `list_devices` does.
    """
    command = python_command("engine.host.devices")
    try:
        answer = ask(
            command if rate_hz is None else [*command, str(rate_hz)], timeout_s, python_environment()
        )
    except TimeoutError:
        raise HostError(
            f"PortAudio did not answer within {timeout_s:g} s: an audio server hangs; restart JACK or PipeWire"
        ) from None
    try:
        told = json.loads(answer.output.splitlines()[-1])
    except (IndexError, ValueError):
        raise HostError(f"PortAudio failed (exit {answer.code}): {answer.last_words}") from None
    if isinstance(told, str):
        raise HostError(told)
    return PortAudio(
        told["version"],
        told["library"],
        tuple(DeviceInfo(**row) for row in told["devices"]),
        Output(**told["output"]) if told["output"] else None,
    )


def _query(rate_hz: int | None) -> dict[str, Any]:
    from engine.host.device_choice import load_sounddevice

    sd = load_sounddevice()
    default = sd.default.device[1]
    devices = [
        DeviceInfo(
            name=info["name"],
            host_api=sd.query_hostapis(info["hostapi"])["name"],
            output_channels=info["max_output_channels"],
            input_channels=info["max_input_channels"],
            rate_hz=info["default_samplerate"],
            low_latency_s=info["default_low_output_latency"],
            high_latency_s=info["default_high_output_latency"],
            is_default=number == default,
        )
        for number, info in enumerate(sd.query_devices())
    ]
    return {
        "version": sd.get_portaudio_version()[1],
        "library": str(sd._libname),
        "devices": [asdict(device) for device in devices],
        "output": None if rate_hz is None else _output(sd, rate_hz),
    }


def _output(sd: Any, rate_hz: int) -> dict[str, Any] | None:
    from engine.host.device_choice import Unavailable, find_output, label

    try:
        number = find_output(sd, None)
    except Unavailable:
        return None
    info = sd.query_devices(number)
    refusal = ""
    try:
        channels = min(2, info["max_output_channels"])
        sd.check_output_settings(number, channels=channels, dtype="float32", samplerate=rate_hz)
    except sd.PortAudioError as error:
        words = {sd._lib.paInvalidSampleRate: "rate", sd._lib.paDeviceUnavailable: "busy"}
        code = error.args[1] if len(error.args) > 1 else None
        refusal = words.get(code, str(error.args[0]) if error.args else "no reason given")
    host_api = sd.query_hostapis(info["hostapi"])["name"]
    return asdict(Output(label(sd, info), host_api, info["default_samplerate"], refusal))


def _answer(rate_hz: int | None) -> str:
    from engine.host.device_choice import Unavailable

    try:
        return json.dumps(_query(rate_hz))
    except Unavailable as problem:
        return json.dumps(str(problem))


if __name__ == "__main__":
    sys.stdout.write(f"{_answer(int(sys.argv[1]) if len(sys.argv) > 1 else None)}\n")
