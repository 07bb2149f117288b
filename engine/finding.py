"""One answer to the question whether a machine is fit to play."""

from dataclasses import asdict, dataclass
from typing import Literal

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found at one point: `failed` only where nothing can be played at all.

    `name` is the point, `text` what was found, on one line, and `remedy` what to do about it ("" where it is ok).
    """

    name: str
    state: State
    text: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Return it as `roomtone check --json` prints it."""
        return asdict(self)
