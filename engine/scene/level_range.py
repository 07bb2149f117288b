"""The levels of importance 0 and of importance 1, as a scene may have them."""

from typing import Annotated

from pydantic import AfterValidator, Field

from engine.scene.strict import rule


def _check(levels_db: tuple[float, float]) -> tuple[float, float]:
    if levels_db[0] > levels_db[1]:
        raise rule(
            f"levels_db is {levels_db[0]:g} to {levels_db[1]:g}", "importance 1 may not be the quieter"
        )
    return levels_db


Level = Annotated[float, Field(ge=-60.0, le=-10.0)]
LevelRange = Annotated[
    tuple[Level, Level], Field(strict=False, json_schema_extra={"unit": "LUFS"}), AfterValidator(_check)
]
