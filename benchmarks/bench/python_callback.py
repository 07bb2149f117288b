"""The architecture the engine process is there to avoid: the same graph rendered in a Python callback of this process.

A process of its own, because a callback that waits for the interpreter can hang a device, and its driver with it:
whoever starts it kills it in time.
"""

import json
import sys
import threading
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.bench.live_setting import LiveSetting
from benchmarks.bench.playing import ROUNDS
from benchmarks.crowd import crowd
from benchmarks.soak_live import spinning
from engine.control.local_engine import LocalEngine
from engine.control.stage import Stage
from engine.errors import HostError
from engine.host.ask import ask
from engine.host.child import python_command, python_environment
from engine.host.device_choice import Unavailable, find_output, label, load_sounddevice
from engine.scene.composition import compose

FEED_S = 0.02
WARM_S = 1.0
START_S = 150.0
"""How long the child may take beyond the time it plays: on the first run it compiles its kernels."""

MOST_PACE = 3.0
"""How many blocks there is room for, of those that real time asks for: a device that stood still catches up."""

SHARES = (0.5, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the run: `blocks` were asked for in `seconds`.

    `late` ones were ready more than a block's time after the device asked, `flagged` ones came with PortAudio's word
    that the output had run dry before.
    """

    seconds: float
    blocks: int
    late: int
    flagged: int


@dataclass(frozen=True, slots=True)
class PythonCallback:
    """How the callback fared. `ready_us` are percentiles (`SHARES`) of the time from the device's question to the
    answer, and the longest.
    """

    device: str
    quantum_s: float
    parts: tuple[Part, ...]
    ready_us: tuple[float, ...]

    def total(self, name: str) -> float:
        """Return the sum of a field over all parts."""
        return float(sum(getattr(part, name) for part in self.parts))

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return asdict(self)


def measure(setting: LiveSetting, minutes: float, tracks: int, threads: int) -> PythonCallback:
    """Play `tracks` for `minutes` in a child process with `threads` busy Python threads; raises HostError."""
    seconds = 60.0 * minutes
    wish = {
        "device": setting.device,
        "rate_hz": setting.rate_hz,
        "quantum_frames": setting.quantum_frames,
        "seconds": seconds,
        "tracks": tracks,
        "threads": threads,
    }
    command = [*python_command("benchmarks.bench.python_callback"), json.dumps(wish)]
    try:
        done = ask(command, START_S + 2.0 * seconds, python_environment())
    except TimeoutError:
        raise HostError("the Python callback hangs, or its device does") from None
    try:
        answer = json.loads(done.output.splitlines()[-1])
    except (IndexError, ValueError):
        raise HostError(f"the Python callback failed (exit {done.code}): {done.last_words}") from None
    if "error" in answer:
        raise HostError(answer["error"])
    parts = tuple(Part(**part) for part in answer.pop("parts"))
    return PythonCallback(**{**answer, "parts": parts, "ready_us": tuple(answer["ready_us"])})


# in the child process -------------------------------------------------------------------------------------------------


def _play(wish: dict[str, Any]) -> dict[str, Any]:
    setting = LiveSetting(rate_hz=wish["rate_hz"], quantum_frames=wish["quantum_frames"])
    spec = setting.spec
    engine = LocalEngine(spec)
    stage = Stage(engine, spec.rate_hz, lambda kind, text: None)
    stage.open(compose(crowd(wish["tracks"]), rate_hz=spec.rate_hz))
    for message in engine.poll():
        stage.take(message)
    sd = load_sounddevice()
    number = find_output(sd, wish["device"])
    block = np.zeros((spec.quantum_frames, 2), np.float32)
    most = round(MOST_PACE * (wish["seconds"] + WARM_S) / spec.quantum_s)
    took_s = np.zeros(most)
    flags = np.zeros(most, np.bool_)
    count = 0

    def callback(out: Any, frames: int, times: Any, status: Any) -> None:
        nonlocal count
        engine.render(block)
        out[:] = block
        if count < most:
            took_s[count] = stream.time - times.currentTime
            flags[count] = status.output_underflow
            count += 1

    def feed(leaving: threading.Event) -> None:
        while not leaving.wait(FEED_S):
            stage.tick()

    stream = sd.OutputStream(
        samplerate=spec.rate_hz,
        blocksize=spec.quantum_frames,
        device=number,
        channels=2,
        dtype="float32",
        latency="low",
        callback=callback,
    )
    leaving = threading.Event()
    feeder = threading.Thread(target=feed, args=(leaving,), daemon=True)
    feeder.start()
    with stream:
        time.sleep(WARM_S)
        moments = [(time.monotonic(), count)]
        with spinning(wish["threads"]):
            for _ in range(ROUNDS):
                time.sleep(wish["seconds"] / ROUNDS)
                moments.append((time.monotonic(), count))
    leaving.set()
    feeder.join()
    if moments[-1][1] == moments[0][1]:
        raise HostError("the device does not ask for sound")
    took_us = 1e6 * took_s[: moments[-1][1]]
    late = took_us > 1e6 * spec.quantum_s
    measured_us = took_us[moments[0][1] :]
    return {
        "device": label(sd, sd.query_devices(number)),
        "quantum_s": spec.quantum_s,
        "parts": [
            {
                "seconds": after_s - before_s,
                "blocks": after - before,
                "late": int(late[before:after].sum()),
                "flagged": int(flags[before:after].sum()),
            }
            for (before_s, before), (after_s, after) in pairwise(moments)
        ],
        "ready_us": [*(float(np.quantile(measured_us, share)) for share in SHARES), float(measured_us.max())],
    }


def main() -> None:
    """Play as the argument says, and print how it went."""
    try:
        answer = _play(json.loads(sys.argv[1]))
    except (HostError, Unavailable) as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
