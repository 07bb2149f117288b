"""What there is to see of a show: its scene, its values, where it is and how it does."""

from engine.control.incidents import Incidents
from engine.control.masking import MaskingMoment, masking_moment
from engine.control.stage import Stage
from engine.control.underruns import UnderrunLog
from engine.host.engine_handle import EngineHandle
from engine.host.session import DeviceIntervals, EngineStatistics, Underrun
from engine.meters import MeterTable
from engine.params import ParamTable
from engine.scene.composition import Composition
from engine.spec import StreamSpec


class ShowState:
    """The side of a show that changes nothing."""

    spec: StreamSpec
    incidents: Incidents
    _engine: EngineHandle
    _stage: Stage
    _underruns: UnderrunLog

    @property
    def composition(self) -> Composition:
        """The scene that plays, the newest while two cross-fade."""
        return self._stage.newest.composition

    @property
    def params(self) -> ParamTable:
        """Everything that can be turned now."""
        return self._stage.params

    @property
    def meters(self) -> MeterTable:
        """Everything that can be read now."""
        return self._stage.meters

    @property
    def plan_latency_frames(self) -> int:
        """The latency of the graph's longest path."""
        return self._stage.latency_frames

    @property
    def notices(self) -> list[str]:
        """One line for each of the newest 1000 incidents."""
        return [incident.text for incident in self.incidents.all]

    @property
    def underruns(self) -> list[Underrun]:
        """Every under-run so far, as far as they are remembered."""
        return self._underruns.all

    @property
    def frame(self) -> int:
        """The engine's absolute frame that is rendered next. It only ever grows, also over a seek or a new engine."""
        return self._engine.frame

    @property
    def position_s(self) -> float:
        """Where in its scene the show is, in seconds."""
        return self._stage.newest.position_frames(self.frame) / self.spec.rate_hz

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._stage.paused

    @property
    def changing(self) -> bool:
        """Whether a scene is on its way in or out, or an edit under way."""
        return self._stage.changing

    def statistics(self) -> EngineStatistics:
        """Return how the engine is doing now."""
        return self._engine.statistics()

    def intervals(self) -> DeviceIntervals:
        """Return how evenly the device has asked for its buffers since the present engine began."""
        return self._engine.intervals()

    def masking(self, per_band: bool = False) -> MaskingMoment:
        """Return who masks whom now, before and after unmasking; `per_band` also in which of the 25 bands."""
        composition, _, meters = self.moment()
        return masking_moment(meters, tuple(t.name for t in composition.tracks), per_band)

    def moment(self) -> tuple[Composition, ParamTable, MeterTable]:
        """Return the scene that plays with its parameters and meters, which fit each other even during an edit."""
        return self._stage.moment()
