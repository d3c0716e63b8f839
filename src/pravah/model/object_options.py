"""How the objects of a sink are kept: what S3 knows of an object beside its content.

Names are those of S3; a server that does not know one of them says so, file by file.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pravah.model.part import Part

# Amazon S3 user guide, "Object tagging".
_MOST_TAGS = 10
_LONGEST_TAG = 128
_LONGEST_VALUE = 256
_TAG = re.compile(r"[\w .:/=+\-@]*")
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:\s*;[ -~]*)?")


def _read_tags(value: object) -> object:
    if not isinstance(value, dict):
        return value
    if len(value) > _MOST_TAGS:
        raise ValueError(f"has {len(value)} tags, and an object at most {_MOST_TAGS}")
    tags = {str(name): str(text) for name, text in value.items()}
    for name, text in tags.items():
        if not 0 < len(name) <= _LONGEST_TAG or len(text) > _LONGEST_VALUE:
            raise ValueError(
                f"has the tag `{name}` of {len(name)} letters with a value of {len(text)}: at most "
                f"{_LONGEST_TAG} and {_LONGEST_VALUE} are allowed"
            )
        if not _TAG.fullmatch(name) or not _TAG.fullmatch(text):
            raise ValueError(
                f"has the tag `{name}: {text}`: letters, digits, spaces and _.:/=+-@ are allowed"
            )
    return tags


def _read_type(value: object) -> object:
    if value in ("guess", "keep") or (isinstance(value, str) and _TYPE.fullmatch(value)):
        return value
    raise ValueError(f"is `{value}`; `guess`, `keep` or a type such as `text/csv` is expected")


class ObjectOptions(Part):
    """How objects are kept."""

    storage_class: (
        Literal[
            "STANDARD",
            "REDUCED_REDUNDANCY",
            "STANDARD_IA",
            "ONEZONE_IA",
            "INTELLIGENT_TIERING",
            "GLACIER",
            "GLACIER_IR",
            "DEEP_ARCHIVE",
            "EXPRESS_ONEZONE",
        ]
        | None
    ) = None
    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None, description="How the server encrypts them."
    )
    kms_key: str | None = Field(
        None, min_length=1, max_length=2048, pattern=r"^[!-~]+$", description="With which key."
    )
    acl: (
        Literal[
            "private",
            "public-read",
            "public-read-write",
            "authenticated-read",
            "aws-exec-read",
            "bucket-owner-read",
            "bucket-owner-full-control",
        ]
        | None
    ) = Field(None, description="Who else may read or write them.")
    tags: Annotated[dict[str, str], BeforeValidator(_read_tags)] = Field({})
    content_type: Annotated[str | None, BeforeValidator(_read_type)] = Field(
        None, description="`guess` (by the name), `keep` (that of the source), or a type."
    )

    @model_validator(mode="after")
    def _refuse_key_without_use(self) -> Self:
        if self.kms_key is not None and self.sse not in ("aws:kms", "aws:kms:dsse"):
            raise ValueError("names a `kms_key`, which is for `sse: aws:kms`")
        return self
