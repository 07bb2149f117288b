"""The sounds of a scene, each made ready once, several at a time."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dsp.units import seconds_to_frames
from engine.errors import Problem, SoundError
from engine.learn.mix_settings import MixSettings
from engine.scene.kept_sounds import tidy
from engine.scene.material import Material, Progress, at_rate, from_file, from_synth, origin_of
from engine.scene.reader import shorten
from engine.scene.reverberation import Reverberation, reverberation_or_none
from engine.scene.schema import Atmo, Loop, Once, Random, SceneObject
from engine.scene.sounds import FileSound, Found, InputSound, Lookup, SynthSound, track_sound
from engine.scene.tone import AS_IT_IS, Tone, toned, toned_origin
from engine.scene.variation import LONGEST_S, MOST_RATED, MOST_RATED_BYTES, rates

VARIANTS = 3
"""How many soundings a procedural sound that comes again and again has."""


class SoundKey(NamedTuple):
    """What makes two wishes the same: the sound, which sounding of it, whether with its silence, its tone and rate."""

    sound: SynthSound | FileSound
    variant: int
    whole: bool = False
    rate: float = 1.0
    tone: Tone = AS_IT_IS


class Ready(NamedTuple):
    """A sound as it is given, unless nobody needs that any more, and what is predicted of it."""

    material: Material | None
    settings: MixSettings | None


def _at(field: str, key: SoundKey, problem: Problem) -> Problem:
    """Return a problem with a sound as one with the field that names it."""
    name = key.sound.path.name if isinstance(key.sound, FileSound) else key.sound.name
    return replace(problem, file="", field=field, what=f"{name} {problem.what}")


def _place(sound: FileSound) -> str:
    return shorten(sound.found.place if sound.found else sound.path.name, 4096)


class Filtered(NamedTuple):
    """Sounds that are wanted through filters, and by how much they vary where they come again and again."""

    keys: tuple[SoundKey, ...]
    tone: Tone
    vary: float


class Shelf:
    """First `want` every sound, then `fill` the shelf, then say by `through` what they go through, then take materials.

    Decoding and synthesis run compiled code that lets go of the interpreter, so threads share the work. What is among
    the materials to `reuse` is not made again.
    """

    def __init__(
        self,
        folder: Path,
        library: Sequence[Path],
        rate_hz: int,
        seed: int,
        reuse: Iterable[Material] = (),
        predicts: bool = False,
    ) -> None:
        self.folder = folder
        self.library = library
        self.rate_hz = rate_hz
        self.seed = seed
        self.found: dict[str, Found] = {}
        """How sounds were found that are not named, by field."""
        self._lookup = Lookup(library, seed)
        self._predicts = predicts
        self._made = {m.origin: m for m in reuse if m.origin is not None}
        self._told = {m.given: m.settings for m in self._made.values() if m.settings is not None}
        self._wishes: dict[SoundKey, tuple[str, list[str]]] = {}
        self._ready: dict[SoundKey, Ready] = {}
        self._filled: dict[SoundKey, Material] = {}
        self._heard: dict[Path, Reverberation | None] = {}
        self._problems: list[Problem] = []
        self._fields: list[str] = []

    def want(
        self, item: Atmo | SceneObject, schedule: Once | Loop | Random, field: str, heard: bool = False
    ) -> tuple[SoundKey, ...]:
        """Note the sounds of `item`, whose `sound` stands at `field`; a mistake is raised by `fill`.

        Returns a key for each that may be heard instead of the others. A live input has nothing to be made ready, and
        no key. If `heard`, the reverberation of a file is wanted too.
        """
        pairs: list[tuple[str | None, str]]
        if isinstance(item.sound, tuple):
            pairs = [(sound, f"{field}[{i}]") for i, sound in enumerate(item.sound)]
        else:
            pairs = [(item.sound, field)]
        found = [key for sound, place in pairs for key in self._want(item, sound, schedule, place, heard)]
        return tuple(dict.fromkeys(found))

    def _want(
        self,
        item: Atmo | SceneObject,
        reference: str | None,
        schedule: Once | Loop | Random,
        field: str,
        heard: bool,
    ) -> tuple[SoundKey, ...]:
        self._fields.append(field)
        try:
            sound = track_sound(
                item.label,
                reference,
                self.folder,
                self.library,
                field=field,
                lookup=self._lookup,
                loops=isinstance(schedule, Loop),
            )
        except SoundError as error:
            self._problems.extend(error.problems)
            return ()
        if isinstance(sound, InputSound):
            return ()
        if sound.found is not None:
            self.found[field] = sound.found
        if heard and isinstance(sound, FileSound):
            self._heard[sound.path] = None
        again = isinstance(schedule, Random)
        name = f"synth:{sound.name}" if isinstance(sound, SynthSound) else reference or _place(sound)
        whole = isinstance(schedule, Loop) and schedule.beats is not None
        count = VARIANTS if again and isinstance(sound, SynthSound) else 1
        keys = tuple(SoundKey(sound, i, whole) for i in range(count))
        for key in keys:
            source = name if key.variant == 0 else f"{name}#{key.variant + 1}"
            self._wishes.setdefault(key, (source, []))[1].append(field)
        return keys

    def fill(self, progress: Progress | None) -> None:
        """Make every sound ready; raises SoundError with all that cannot be used, each for its fields.

        Raises InputError where sounds are to be predicted and the model for that cannot be used.
        """
        if self._predicts and self._wishes:
            # Imported late: nobody waits for it whose scene predicts nothing. Read here, by one thread alone.
            from engine.scene.predicted import prepare

            prepare()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            made = {
                key: pool.submit(self._made_once, key, source) for key, (source, _) in self._wishes.items()
            }
            heard = {path: pool.submit(reverberation_or_none, path) for path in self._heard}
            whole = len(made) + len(heard)
            try:
                for done, (key, future) in enumerate(made.items()):
                    source, fields = self._wishes[key]
                    if progress:
                        progress(source, done, whole)
                    try:
                        self._ready[key] = future.result()
                    except SoundError as error:
                        for field in fields:
                            self._problems += [_at(field, key, p) for p in error.problems]
                for done, (path, listening) in enumerate(heard.items(), len(made)):
                    if progress:
                        progress(path.name, done, whole)
                    self._heard[path] = listening.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if self._problems:
            raise SoundError(sorted(self._problems, key=lambda p: self._fields.index(p.field)))
        if progress:
            progress("", whole, whole)

    def settings(self, keys: Sequence[SoundKey]) -> list[MixSettings]:
        """Return what is predicted of sounds, of each that something is known of."""
        found = (self._ready[key].settings for key in keys)
        return [settings for settings in found if settings is not None]

    def through(self, wants: Sequence[Filtered]) -> list[tuple[SoundKey, ...]]:
        """Have every sound in all the ways it is wanted in, and return the keys of each, as they are wanted.

        Raises SoundError for a sound that has gone since it was made ready.
        """
        made: dict[SoundKey, Future[Material]] = {}
        rated: dict[SoundKey, Future[Material]] = {}
        room = [MOST_RATED, MOST_RATED_BYTES]
        keys = [tuple(key._replace(tone=want.tone) for key in want.keys) for want in wants]
        at_rates: dict[SoundKey, dict[float, None]] = {}
        for want, own in zip(wants, keys, strict=True):
            for key in own:
                at_rates.setdefault(key, {}).update(dict.fromkeys(rates(want.vary, len(own))))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            made = {key: pool.submit(self._through, key) for key in at_rates}
            try:
                for key, future in made.items():
                    own_material = self._filled[key] = future.result()
                    for rate in self._rates_with_room(tuple(at_rates[key]), own_material, room):
                        other = key._replace(rate=rate)
                        self._filled[other] = own_material  # keeps its place until it is made
                        rated[other] = pool.submit(self._at_rate, own_material, rate)
                for key, future in rated.items():
                    self._filled[key] = future.result()
            except SoundError as error:
                field = self._wishes[key._replace(tone=AS_IT_IS)][1][0]
                raise SoundError([_at(field, key, p) for p in error.problems]) from None
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        self._ready.clear()
        tidy()
        return keys

    def _through(self, key: SoundKey) -> Material:
        given = key._replace(tone=AS_IT_IS)
        source = self._wishes[given][0]
        ready = self._ready[given]
        origin = toned_origin(self._origin(given, source), key.tone)
        if origin is not None and origin in self._made:
            return self._made[origin]
        material = ready.material or self._given(given, source)
        return toned(material, key.tone, self.rate_hz)

    def _rates_with_room(self, found: tuple[float, ...], own: Material, room: list[int]) -> Sequence[float]:
        """Return the other rates a sound is made ready at, and take what they need off `room`: sounds, and bytes."""
        if not found or len(own.samples) > seconds_to_frames(LONGEST_S, self.rate_hz):
            return ()
        needs = len(found), round(own.samples.nbytes * sum(1.0 / rate for rate in found))
        if needs[0] > room[0] or needs[1] > room[1]:
            return ()
        room[:] = room[0] - needs[0], room[1] - needs[1]
        return found

    def _at_rate(self, own: Material, rate: float) -> Material:
        origin = None if own.origin is None else (*own.origin, rate)
        found = self._made.get(origin) if origin is not None else None
        return found or at_rate(own, rate, self.rate_hz)

    def _origin(self, key: SoundKey, source: str) -> tuple[object, ...] | None:
        return origin_of(key.sound, source, self.rate_hz, self.seed, key.whole)

    def _made_once(self, key: SoundKey, source: str) -> Ready:
        """Return a sound as it is given, with what is predicted of it; without the sound if that was known before."""
        origin = self._origin(key, source)
        if self._predicts and origin is not None and origin in self._told:
            return Ready(None, self._told[origin])
        made = self._given(key, source)
        return Ready(made, made.settings if self._predicts else None)

    def _given(self, key: SoundKey, source: str) -> Material:
        origin = self._origin(key, source)
        if origin is not None and origin in self._made:
            made = self._made[origin]
        elif isinstance(key.sound, FileSound):
            made = from_file(key.sound, source, self.rate_hz, key.whole)
        else:
            made = from_synth(key.sound, source, self.rate_hz, self.seed, key.whole)
        made = replace(made, origin=origin, given=origin)
        if self._predicts and made.settings is None:
            from engine.scene.predicted import predicted

            made = replace(made, settings=predicted(made, self.rate_hz))
        return made

    def at_rates(self, key: SoundKey, amount: float, alternatives: int) -> list[SoundKey]:
        """Return the keys of a sound, one of so many, at other rates by which it varies, if it is short enough."""
        rated = [key._replace(rate=rate) for rate in rates(amount, alternatives)]
        return [other for other in rated if other in self._filled]

    def __getitem__(self, key: SoundKey) -> Material:
        return self._filled[key]

    def number(self, key: SoundKey) -> int:
        """Return the number of the clip: its place in `materials`."""
        return list(self._filled).index(key)

    def reverberation(self, key: SoundKey) -> Reverberation | None:
        """Return what was heard in the file of a sound; None where nothing was, or nobody wanted to know."""
        return self._heard.get(key.sound.path) if isinstance(key.sound, FileSound) else None

    @property
    def materials(self) -> tuple[Material, ...]:
        """All sounds, in the order in which they were first wanted."""
        return tuple(self._filled.values())
