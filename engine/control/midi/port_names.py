"""Names of MIDI ports: the label of one that outlives a replug, its output, and whether it is one of our own."""

import re
from collections.abc import Iterable, Mapping, Sequence

CLIENT = "roomtone"
"""What our own clients are called; audio servers may append a number."""

_ADDRESS = re.compile(r"\s+\d+:\d+$")
_OWN = re.compile(rf"{CLIENT}(-\d+)?(:|$)", re.IGNORECASE)
_LOOPBACK = re.compile(r"midi through", re.IGNORECASE)
_NUMBER_OF_CLIENT = re.compile(r"-\d\d(?=:)")
_DIRECTION = re.compile(
    r"\b(?:midi[ _])?(?:in|out|input|output|capture|playback)(?:[ _]?\d+)?\b", re.IGNORECASE
)
_NOISE = re.compile(r"[\[\](){}:_\s]+")


def is_own(name: str) -> bool:
    """Return whether a port is one of roomtone's, which would feed back."""
    return _OWN.match(name) is not None


def is_loopback(name: str) -> bool:
    """Return whether what is sent to a port comes in again; such a one is opened only when it is asked for."""
    return _LOOPBACK.search(name) is not None


def without_address(name: str) -> str:
    """Return a name without the address that ALSA appends, which changes when a device is plugged in again."""
    return _ADDRESS.sub("", name)


def labels(names: Sequence[str], before: Mapping[str, str]) -> dict[str, str]:
    """Return port name → label; one that was there `before` keeps its own, equal ones get ` #2`, ` #3` and so on."""
    given = {name: before[name] for name in names if name in before}
    for name in names:
        if name in given:
            continue
        label = plain = without_address(name)
        number = 1
        while label in given.values():
            number += 1
            label = f"{plain} #{number}"
        given[name] = label
    return {name: given[name] for name in names}


def matching(wish: str | None, names: Iterable[str]) -> list[str]:
    """Return the names that `wish` means: the one that is equal to it, else all that hold each of its words.

    None means every port but those that feed back. Our own ports are never meant.
    """
    others = [name for name in names if not is_own(name)]
    if wish is None:
        return [name for name in others if not is_loopback(name)]
    wanted = wish.lower()
    exact = [n for n in others if wanted in (n.lower(), without_address(n).lower())]
    return exact or [n for n in others if all(word in n.lower() for word in wanted.split())]


def output_of(name: str, inputs: Sequence[str], outputs: Sequence[str]) -> str | None:
    """Return the output port of the device whose input port is `name`; None if it has none.

    The two differ in words such as `capture` and `playback`, in addresses, and where a JACK server told two clients
    apart. Of several that are alike, the first input has the first output, and so on.
    """
    candidates = [output for output in outputs if not is_own(output)]
    if name in candidates:
        return name
    for reduced in (_words, _client):
        key = reduced(name)
        alike = [output for output in candidates if reduced(output) == key]
        if alike:
            siblings = [n for n in inputs if reduced(n) == key]
            place = siblings.index(name) if name in siblings else 0
            return alike[place] if place < len(alike) else None
    return None


def _words(name: str) -> str:
    plain = _NUMBER_OF_CLIENT.sub("", without_address(name))
    return _NOISE.sub(" ", _DIRECTION.sub(" ", plain.replace("_", " "))).strip().lower()


def _client(name: str) -> str:
    client, colon, port = without_address(name).partition(":")
    if not colon:  # Windows numbers inputs and outputs each for themselves
        return re.sub(r" \d+$", "", client).lower()
    if client.lower() in ("system", "a2j", "midi-bridge"):
        # Behind these all devices are ports of one client.
        return f"{client}:{_words(port)}".lower()
    return re.sub(r"-\d\d$", "", client).lower()
