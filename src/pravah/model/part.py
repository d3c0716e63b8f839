"""What every part of a spec is: immutable, and without keys that nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError


class Part(BaseModel):
    """A part of the spec: immutable, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: object) -> object:
        for key in value if isinstance(value, Mapping) else ():
            if key not in cls.model_fields:
                meant = get_close_matches(str(key), cls.model_fields, n=1)
                hint = f"did you mean `{meant[0]}`?" if meant else _listed(cls)
                raise PydanticCustomError(
                    "unknown_key", "unknown key `{key}`", {"key": str(key), "hint": hint}
                )
        return value


def _listed(part: type[Part]) -> str:
    return f"known are {', '.join(part.model_fields)}"
