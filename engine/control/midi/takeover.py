"""Soft takeover: a knob that stands elsewhere than its parameter does nothing until it passes the parameter's value.

What is tested is the crossing: that the value lies between where the knob was and where it is. Nearness alone is not
enough, for a fast turn jumps over every small window.
"""


class Takeover:
    """Decides for one absolute control whether a move of it counts.

    Positions and values are places on the knob's way, 0 to 1; `step` is the distance of two neighbouring positions.
    Once caught it stays caught, as long as the parameter has the value that this control gave it.
    """

    def __init__(self, step: float) -> None:
        self._step = step * (1.0 + 1e-9)
        self._last: float | None = None
        self._given: float | None = None

    def catches(self, position: float, place: float, value: float) -> bool:
        """Take note that the control stands at `position`; return whether it may set the parameter.

        `place` is where on the knob's way the parameter stands, `value` its value as it is stored.
        """
        last, self._last = self._last, position
        if self._given is not None and value == self._given:
            return True
        near = abs(position - place) <= self._step
        crossed = last is not None and (last - place) * (position - place) <= 0.0
        return near or crossed

    def gave(self, value: float) -> None:
        """Take note that the parameter has `value`, as it is stored, from this control."""
        self._given = value

    def release(self) -> None:
        """Have the control pick up anew, for the parameter is another one."""
        self._given = None
