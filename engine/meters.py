"""The meter table: what processors tell the world, one float64 slot a value, written every quantum."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from engine.slots import METER_CAPACITY, SlotMap, Slots


@dataclass(frozen=True, slots=True)
class Meter:
    """One value a node shows, or one for each track of a bank when `keys` names them.

    A spectrum has `bands` values for each: slots `[bands, keys]`, band by band.
    """

    name: str
    unit: str
    about: str
    keys: tuple[str, ...] = ()
    bands: int = 1

    @property
    def count(self) -> int:
        """Slots this meter takes."""
        return self.bands * (len(self.keys) if self.keys else 1)


class MeterTable:
    """Where each meter's slots lie, over one float64 memory; the control side reads, processors write."""

    def __init__(self, slot_map: SlotMap, meters: dict[tuple[str, str], Meter], memory: Slots | None) -> None:
        self.slot_map = slot_map
        self.meters = meters
        self.memory = np.zeros(METER_CAPACITY) if memory is None else memory

    @classmethod
    def of(
        cls,
        meters: Iterable[tuple[str, tuple[Meter, ...]]],
        previous: "MeterTable | None" = None,
        memory: Slots | None = None,
    ) -> "MeterTable":
        """Build the table of `meters` ((node name, its meters)…); what `previous` has keeps its slots."""
        rows = {(node, m.name): m for node, ms in meters for m in ms}
        wanted: dict[tuple[str, str], tuple[object, int]] = {name: (m, m.count) for name, m in rows.items()}
        slot_map = (previous.slot_map if previous else SlotMap(capacity=METER_CAPACITY)).updated(wanted)
        return cls(slot_map, rows, previous.memory if previous else memory)

    def settle(self) -> None:
        """Free the slots that only earlier graphs used: for when nothing but the newest plays."""
        self.slot_map = self.slot_map.settled()

    def read(self, node: str, name: str) -> Slots:
        """Return a copy of the values of `node`'s meter `name`: float64 `[keys]`, of a spectrum `[bands, keys]`."""
        values = self.slot_map.spans[node, name].of(self.memory).copy()
        bands = self.meters[node, name].bands
        return values.reshape(bands, -1) if bands > 1 else values
