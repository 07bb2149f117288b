"""The meter table: what processors tell the world, one float64 slot a value, written every quantum."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from engine.params import generation, spoken
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
    """Where each meter's slots lie, over one float64 memory; the control side reads, processors write.

    Where nodes share a name but for their generation, it is the newest that is read.
    """

    def __init__(
        self, slot_map: SlotMap, newest: dict[tuple[str, str], tuple[str, Meter]], memory: Slots | None
    ) -> None:
        self.slot_map = slot_map
        self._newest = newest
        self.memory = np.zeros(METER_CAPACITY) if memory is None else memory

    @classmethod
    def of(
        cls,
        meters: Iterable[tuple[str, tuple[Meter, ...]]],
        previous: "MeterTable | None" = None,
        memory: Slots | None = None,
        owners: Mapping[str, object] | None = None,
    ) -> "MeterTable":
        """Build the table of `meters` ((node name, its meters)…); what `previous` has keeps its slots.

        With `owners`, the nodes by name, that holds only while a node is equal: the processor of a changed one is
        being built, and writes, while the old one still plays.
        """
        every = {
            (node, m.name): m for node, ms in sorted(meters, key=lambda pair: generation(pair[0])) for m in ms
        }
        owners = owners or {}
        wanted = {name: ((m, owners.get(name[0])), m.count) for name, m in every.items()}
        slot_map = (previous.slot_map if previous else SlotMap(capacity=METER_CAPACITY)).updated(wanted)
        newest = {(spoken(node), name): (node, m) for (node, name), m in every.items()}
        return cls(slot_map, newest, previous.memory if previous else memory)

    def settle(self) -> None:
        """Free the slots that only earlier graphs used: for when nothing but the newest plays."""
        self.slot_map = self.slot_map.settled()

    def read(self, node: str, name: str) -> Slots:
        """Return a copy of the values of `node`'s meter `name`: float64 `[keys]`, of a spectrum `[bands, keys]`."""
        full, meter = self._newest[node, name]
        values = self.slot_map.spans[full, name].of(self.memory).copy()
        return values.reshape(meter.bands, -1) if meter.bands > 1 else values

    def has(self, node: str, name: str) -> bool:
        """Say whether there is such a meter."""
        return (node, name) in self._newest
