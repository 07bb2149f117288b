"""SynthDef files, version 2: what scsynth reads as the definition of a synth.

Source    SuperCollider, Reference/Synth-Definition-File-Format. All numbers are big-endian and packed; unit
          generators stand in the order in which they run.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

SCALAR, CONTROL, AUDIO = 0, 1, 2
"""Calculation rates: once, once per block, every sample."""
SUM, SQUARED = 0, 12
"""Special indices: the operator of a `BinaryOpUGen` that adds, of a `UnaryOpUGen` that squares."""


@dataclass(frozen=True, slots=True)
class Wire:
    """Output number `output` of unit generator number `unit`."""

    unit: int
    output: int = 0


@dataclass
class SynthDef:
    """A definition without parameters, written unit by unit."""

    name: str
    _constants: dict[bytes, int] = field(default_factory=dict)
    _units: list[bytes] = field(default_factory=list)

    def unit(
        self, name: str, rate: int, inputs: Sequence[Wire | float], outputs: int = 1, special: int = 0
    ) -> list[Wire]:
        """Add a unit generator; return its outputs. A number is a constant, rounded to float32."""
        spec = _pascal(name) + struct.pack(">biih", rate, len(inputs), outputs, special)
        for source in inputs:
            spec += struct.pack(">ii", *self._place(source))
        self._units.append(spec + bytes([rate]) * outputs)
        return [Wire(len(self._units) - 1, output) for output in range(outputs)]

    def sound(self, name: str, *inputs: Wire | float, special: int = 0) -> Wire:
        """Add one that runs every sample and has one output; return that."""
        return self.unit(name, AUDIO, inputs, special=special)[0]

    def as_bytes(self) -> bytes:
        """Return the definition as it stands in a file."""
        nothing = struct.pack(">i", 0)
        parameters, names, variants = nothing, nothing, struct.pack(">h", 0)
        return b"".join(
            (
                *(_pascal(self.name), struct.pack(">i", len(self._constants)), *self._constants),
                *(parameters, names, struct.pack(">i", len(self._units)), *self._units, variants),
            )
        )

    def _place(self, source: Wire | float) -> tuple[int, int]:
        if isinstance(source, Wire):
            return source.unit, source.output
        constant = struct.pack(">f", source)
        return -1, self._constants.setdefault(constant, len(self._constants))


def file(*definitions: SynthDef) -> bytes:
    """Return a file with these definitions."""
    head = b"SCgf" + struct.pack(">ih", 2, len(definitions))
    return head + b"".join(definition.as_bytes() for definition in definitions)


def _pascal(text: str) -> bytes:
    return bytes([len(text)]) + text.encode("ascii")
