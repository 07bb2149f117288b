"""Which audio devices there are. Asked in a throw-away process: PortAudio's list is frozen once it is initialised,
a dead audio server can hang it, and the drivers' chatter must not reach the terminal.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

from engine.errors import HostError
from engine.host.child import python_command, python_environment


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


def list_devices(timeout_s: float = 15.0) -> list[DeviceInfo]:
    """Return all devices there are now, perhaps none.

    Raises HostError, with the remedy, where the PortAudio library is missing or an audio server does not answer.
    """
    try:
        done = subprocess.run(
            python_command("engine.host.devices"),
            env=python_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise HostError(
            f"PortAudio did not answer within {timeout_s:g} s: an audio server hangs; restart JACK or PipeWire"
        ) from None
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise HostError(f"PortAudio failed (exit {done.returncode}): {' '.join(last)}") from None
    if isinstance(answer, str):
        raise HostError(answer)
    return [DeviceInfo(**row) for row in answer]


def _query() -> list[DeviceInfo]:
    from engine.host.device_choice import load_sounddevice

    sd = load_sounddevice()
    default = sd.default.device[1]
    return [
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


def _answer() -> str:
    from engine.host.device_choice import Unavailable

    try:
        return json.dumps([asdict(device) for device in _query()])
    except Unavailable as problem:
        return json.dumps(str(problem))


if __name__ == "__main__":
    sys.stdout.write(f"{_answer()}\n")
