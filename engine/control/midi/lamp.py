"""What goes back to a control that can show it: a ring of lights, a button's lamp, a motor fader."""

from typing import Final

INTERVAL_S: Final = 1.0 / 30.0
"""At least so long between two messages to one control."""
MOVING_S: Final = 0.2
"""So long after its last message a control is taken to be in somebody's hand, and nothing is sent to it."""
ECHO_S: Final = 0.1
"""So long after it was sent, a message that is equal may be its echo."""


class Lamp:
    """What one control shows, so that only news is sent to it and an echo of that is known for what it is."""

    def __init__(self) -> None:
        self._shown = -1  # -1: nobody knows
        self._heard_s = -MOVING_S
        self._sent_s = -INTERVAL_S
        self._sent: dict[int, float] = {}

    def hears_itself(self, value: int, at_s: float) -> bool:
        """Return whether `value`, which came from the control, is what was just sent to it; each counts once."""
        sent_s = self._sent.pop(value, None)
        return sent_s is not None and at_s - sent_s <= ECHO_S

    def moved(self, value: int | None, at_s: float) -> None:
        """Take note that the control was moved by hand, and shows `value`; None for an encoder without one."""
        self._heard_s = at_s
        if value is not None:
            self._shown = value

    def due(self, value: int, now_s: float) -> bool:
        """Return whether `value` is to be sent now; it is then taken to be shown."""
        resting = now_s - self._heard_s >= MOVING_S and now_s - self._sent_s >= INTERVAL_S
        if value == self._shown or not resting:
            return False
        self._shown, self._sent_s = value, now_s
        self._sent = {v: t for v, t in self._sent.items() if now_s - t <= ECHO_S} | {value: now_s}
        return True
