"""Is the machine fit to play: what it plays on. From given facts, without asking."""

from engine.finding import Finding
from engine.host.audio_servers import AudioServer
from engine.host.device_choice import NO_DEVICE
from engine.host.devices import PortAudio

SILENT = "`roomtone play` plays silently to the null clock"

NO_RATE_OF_THEIR_OWN = ("ALSA", "OSS")
"""There PortAudio gives 44100 Hz as the rate of every device that can do it: it says nothing of what is used."""


def check_portaudio(found: PortAudio | str) -> Finding:
    """Without PortAudio there is no sound, and all else works. `found` is what it told, or why it did not."""
    name = "PortAudio"
    if isinstance(found, str):
        what, _, remedy = found.partition("; ")
        return Finding(name, "warning", f"{what}: {SILENT}", remedy or "see `roomtone devices`")
    return Finding(name, "ok", f"{found.version.partition(', ')[0]} ({found.library})")


def check_output(portaudio: PortAudio) -> Finding:
    """There must be something to hear it on."""
    name = "audio output"
    outputs = [device for device in portaudio.devices if device.output_channels]
    if portaudio.output is None:
        what, _, remedy = NO_DEVICE.partition("; ")
        return Finding(name, "warning", f"{what}: {SILENT}", remedy)
    others = len(outputs) - 1
    text = f"{portaudio.output.name} plays unasked" + (f"; {others} more" if others else "")
    refusal = portaudio.output.refusal
    if refusal == "busy":
        remedy = "close the program that uses it, or choose another one: `roomtone play --device NAME`"
        return Finding(name, "warning", f"{text}; it is busy: {SILENT}", remedy)
    if refusal not in ("", "rate"):
        remedy = "choose another one: `roomtone play --device NAME`, see `roomtone devices`"
        return Finding(name, "warning", f"{text}; it refuses ({refusal})", remedy)
    return Finding(name, "ok", text)


def check_rate(portaudio: PortAudio, rate_hz: int) -> Finding:
    """A device that does not play the rate makes `roomtone play` fail; one that converts it takes time and quality."""
    name = "sample rate"
    output = portaudio.output
    if output is None or output.refusal not in ("", "rate"):
        return Finding(name, "ok", f"{rate_hz} Hz, with no device to ask")
    own_hz = round(output.rate_hz)
    who = "the JACK server" if "JACK" in output.host_api else output.name
    remedy = f"play with `--rate {own_hz}`"
    if output.refusal:
        return Finding(name, "failed", f"{who} runs at {own_hz} Hz and does not play {rate_hz} Hz", remedy)
    if own_hz != rate_hz and output.host_api in NO_RATE_OF_THEIR_OWN:
        return Finding(name, "ok", f"{rate_hz} Hz is played by {who}")
    if own_hz != rate_hz:
        text = f"{rate_hz} Hz, which {who} takes although its own rate is {own_hz} Hz: it is converted on the way"
        return Finding(name, "warning", text, remedy)
    return Finding(name, "ok", f"{rate_hz} Hz is the rate of {who}")


def check_jack(server: AudioServer | str | None) -> Finding:
    """A JACK server decides the rate, the buffer, and whether the callback has real-time priority."""
    name = "JACK"
    if isinstance(server, str):
        return Finding(name, "warning", server, "restart the JACK server")
    if server is None:
        return Finding(name, "ok", "no server runs, none is needed")
    if server.realtime is False:
        text = f"{_shape(server)}, without real-time priority: under-runs are likelier on a busy machine"
        return Finding(
            name, "warning", text, "start it with `jackd -R`, or tick Realtime in its control panel"
        )
    return Finding(name, "ok", _shape(server))


def check_pipewire(server: AudioServer | str | None) -> Finding:
    """PipeWire gives the buffer that its clients ask for."""
    name = "PipeWire"
    if isinstance(server, str):
        return Finding(name, "warning", server, "restart it: `systemctl --user restart pipewire`")
    if server is None:
        return Finding(name, "ok", "no server runs, none is needed")
    if server.rate_hz is None or server.buffer_frames is None:
        return Finding(
            name, "ok", "runs; `pw-metadata`, which would tell its rate and buffer, is missing or silent"
        )
    return Finding(name, "ok", _shape(server) + " unless a program asks for another")


def _shape(server: AudioServer) -> str:
    if not server.rate_hz or not server.buffer_frames:
        return "runs"
    ms = 1e3 * server.buffer_frames / server.rate_hz
    version = f" (version {server.version})" if server.version else ""
    return f"runs at {server.rate_hz} Hz with a buffer of {server.buffer_frames} frames, {ms:.1f} ms{version}"
