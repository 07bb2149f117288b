"""What all files of the user have in common: strict models, and rules between their fields."""

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from engine.scene.reader import FieldPath


def rule(what: str, allowed: str, at: FieldPath = ()) -> PydanticCustomError:
    """A broken rule of our own, as a validator raises it; `at` is the field below what it validates."""
    return PydanticCustomError("rule", "{what}; {allowed}", {"what": what, "allowed": allowed, "at": at})


class Part(BaseModel):
    """Numbers are numbers, booleans are booleans, nothing is infinite, and no key is unknown."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
    )
