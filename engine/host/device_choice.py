"""Which device a wish means. Light to import: throw-away processes that look for a device do so while others play."""

from typing import Any

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


def find_output(sd: Any, wish: str | None) -> int:
    """Return the number of the output device whose name holds `wish` (or the default); raises Unavailable."""
    devices = [(n, d) for n, d in enumerate(sd.query_devices()) if d["max_output_channels"] > 0]
    if not devices:
        raise Unavailable(NO_DEVICE)
    if wish is not None:
        return _named(sd, devices, wish, "output device")
    default = sd.default.device[1]
    if default < 0:
        default = sd.query_hostapis(devices[0][1]["hostapi"])["default_output_device"]
    return int(default) if default >= 0 else devices[0][0]


def find_input(sd: Any, wish: str | None, output: int) -> int:
    """Return the number of the input device `wish` of the host API of device `output`; raises Unavailable.

    By default it is `output` itself, or the default input where that has none.
    """
    api = sd.query_devices(output)["hostapi"]
    devices = [
        (n, d)
        for n, d in enumerate(sd.query_devices())
        if d["hostapi"] == api and d["max_input_channels"] > 0
    ]
    name = sd.query_hostapis(api)["name"]
    if not devices:
        raise Unavailable(f"{name} has no input device; see `roomtone devices`")
    if wish is not None:
        return _named(sd, devices, wish, f"{name} input device")
    numbers = [n for n, _ in devices]
    default = sd.query_hostapis(api)["default_input_device"]
    return next(n for n in (output, default, numbers[0]) if n in numbers)


def label(sd: Any, device: Any) -> str:
    """Return a device's name as users read it, which is a wish that means it and no other."""
    return f"{device['name']} ({sd.query_hostapis(device['hostapi'])['name']})"


def _named(sd: Any, devices: list[tuple[int, Any]], wish: str, kind: str) -> int:
    names = {n: f"{d['name']}, {sd.query_hostapis(d['hostapi'])['name']}" for n, d in devices}
    wanted = wish.lower()
    labels = [n for n, d in devices if wanted == label(sd, d).lower()]
    exact = labels or [n for n, d in devices if wanted in (str(d["name"]).lower(), names[n].lower())]
    matches = exact or [
        n for n, name in names.items() if all(word in name.lower() for word in wanted.split())
    ]
    if len(matches) == 1:
        return matches[0]
    listed = "; ".join(names[n] for n in matches or names)
    if matches:
        raise Unavailable(f"{wish!r} names several devices; say which: {listed}")
    raise Unavailable(f"there is no {kind} {wish!r}; there is: {listed}")
