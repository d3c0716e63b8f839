"""The job spec: what a job shall do, as YAML, JSON, the command line and Python build it.

Structural only: which processors there are and what they take is the registry's knowledge,
whether a path exists is the planner's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationError,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pravah.errors import SpecError
from pravah.model import units
from pravah.model.budget import read_budget
from pravah.model.dataset import DatasetFormat, dataset_format
from pravah.model.filters import Filters, check_moment, read_depth
from pravah.model.object_options import ObjectOptions
from pravah.model.part import Part
from pravah.model.spec_errors import spec_error
from pravah.model.uri import absolute_uri

Size = Annotated[
    int,
    BeforeValidator(units.read_size),
    PlainSerializer(units.write_size),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["64MiB"]}),
]
Duration = Annotated[
    float,
    BeforeValidator(units.read_duration),
    PlainSerializer(units.write_duration),
    WithJsonSchema({"type": "string", "examples": ["5min"]}),
]


Rate = Annotated[
    int,
    BeforeValidator(units.read_rate),
    PlainSerializer(units.write_rate),
    WithJsonSchema({"type": "string", "examples": ["200MB/s"]}),
]


Moment = Annotated[
    str,
    BeforeValidator(check_moment),
    WithJsonSchema({"type": "string", "examples": ["2d", "2026-01-31T12:00:00Z"]}),
]
Depth = Annotated[
    int, BeforeValidator(read_depth), WithJsonSchema({"type": "integer", "minimum": 1})
]


Kept = Literal["mtime", "mode", "owner", "links", "empty_dirs", "metadata", "tags"]


class Move(Part):
    """Sources are moved away once their outputs are acknowledged."""

    move: str = Field(description="The directory that takes them, their relative paths kept.")


def _read_after(value: object) -> object:
    if value in ("keep", "delete") or isinstance(value, Mapping | Move):
        return value
    raise ValueError(f"is `{value}`, `keep`, `delete` or {{move: DIRECTORY}} is expected")


After = Annotated[Literal["keep", "delete"] | Move, BeforeValidator(_read_after)]


class Source(Part):
    """Where entries are listed, and which of them count."""

    uri: list[str] = Field(description="Files, directories and globs.")
    files_from: str | None = Field(
        None, description="Names to take: a file, `-` (stdin), or job:ID/OUTCOME."
    )
    missing: Literal["fail", "ignore"] = Field(
        "fail", description="What a name is that is not there."
    )
    include: list[str] = Field([], description="gitignore rules; none: everything.")
    exclude: list[str] = Field([], description="gitignore rules of what is left out.")
    ignore_case: bool = Field(default=False, description="Letters of these rules have no case.")
    type: list[str] = Field([], description="Types of files, by extension: csv, image, …")
    min_size: Size | None = Field(None, description="Least size of a file.")
    max_size: Size | None = Field(None, description="Largest size of a file.")
    newer_than: Moment | None = Field(None, description="Only files modified since.")
    older_than: Moment | None = Field(None, description="Only files not modified since.")
    max_depth: Depth | None = Field(None, description="Directories to go down, the root counted.")
    follow_symlinks: bool = Field(
        default=False, description="What links lead to counts as if it lay there."
    )
    after: After = Field("keep", description="What becomes of a source whose output is safe.")
    capture: str | None = Field(
        None, description="Names for parts of the relative path, as in {host}/{date}.csv."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_short_forms(cls, value: object) -> object:
        if isinstance(value, str | list):
            value = {"uri": value}
        if isinstance(value, Mapping):
            lists = {key: [v] for key in ("uri", "type") if isinstance(v := value.get(key), str)}
            # Names lie below the working directory, or where those of the job that they are of lie.
            return {**({"uri": []} if value.get("files_from") else {}), **value, **lists}
        return value

    @model_validator(mode="after")
    def _refuse_nothing(self) -> Self:
        if not self.uri and self.files_from is None:
            raise ValueError("names no source")
        return self

    @property
    def filters(self) -> Filters:
        """Which entries count."""
        return Filters(**{f.name: getattr(self, f.name) for f in fields(Filters)})

    @model_serializer(mode="wrap")
    def _write_one_uri(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        form: dict[str, Any] = write(self)
        return {**form, "uri": self.uri[0] if len(self.uri) == 1 else self.uri}


class Step(Part):
    """A configured processor: `NAME`, or one key: parameters."""

    name: str
    params: dict[str, Any] = Field({})

    @model_validator(mode="before")
    @classmethod
    def _read_short_forms(cls, value: object) -> object:
        if isinstance(value, str):
            return {"name": value}
        # A processor called `name` would have a map behind it, never a word.
        if not isinstance(value, Mapping) or isinstance(value.get("name"), str):
            return value
        if len(value) != 1:
            raise PydanticCustomError(
                "step",
                "a step is `NAME` or one key: parameters, this has {count} keys",
                {"count": len(value)},
            )
        ((name, params),) = value.items()
        return {"name": name, "params": {} if params is None else params}

    @model_serializer
    def _write(self) -> str | dict[str, Any]:
        return {self.name: self.params} if self.params else self.name


class Sink(Part):
    """Where and how outputs are published."""

    uri: str
    path: str | None = Field(
        None, description="Template of the outputs' names, as in {dir}/{stem}.parquet."
    )
    on_collision: Literal["fail", "keep_ext"] = "fail"
    overwrite: Literal["changed", "never", "newer", "always", "error"] = "changed"
    durability: Literal["none", "batch", "always"] = "batch"
    verify: Literal["size", "checksum", "content"] = "size"
    preserve: list[Kept] = Field(["mtime"])
    s3: ObjectOptions | None = Field(None, description="How objects are kept, in an object store.")

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: object) -> object:
        return {"uri": value} if isinstance(value, str) else value


class Results(Part):
    """What becomes of the findings of inspect steps."""

    format: DatasetFormat = "ndjson"
    uri: str | None = Field(
        None, description="A file by its extension, else a directory; by default below the sink."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_short_forms(cls, value: object) -> object:
        if isinstance(value, str):
            return {"format": value}
        if isinstance(value, Mapping) and "format" not in value:
            told = dataset_format(value.get("uri"))
            return {**value, "format": told} if told else value
        return value

    @model_validator(mode="after")
    def _refuse_other_extension(self) -> Self:
        told = dataset_format(self.uri)
        if told not in (None, self.format):
            raise ValueError(f"has the format `{self.format}`, and its uri is `{self.uri}`")
        return self


class OnError(Part):
    """What happens when files fail."""

    max_attempts: int = Field(default=3, ge=1, le=100)
    budget: Annotated[int | str, BeforeValidator(read_budget)] = 0
    when_exceeded: Literal["continue", "pause", "abort"] = "continue"


class Limits(Part):
    """What a job may take."""

    memory: Size = 1 << 30
    stall_timeout: Duration = 300.0
    read_rate: Rate | None = Field(
        default=None, description="Most that a worker reads in a second."
    )
    write_rate: Rate | None = Field(
        default=None, description="Most that a worker writes in a second."
    )
    tasks: int | None = Field(
        default=None, ge=1, description="Most tasks at once, over all workers."
    )


def _refuse_nul(name: str) -> str:
    if "\0" in name:
        raise ValueError("holds a NUL, which no database keeps in a text")
    return name


Word = Annotated[str, AfterValidator(_refuse_nul)]


class JobSpec(Part):
    """One job, as it was asked for."""

    version: Literal[1] = 1
    name: Annotated[str, Field(max_length=200), AfterValidator(_refuse_nul)] | None = None
    source: Source
    steps: list[Step] = Field(min_length=1)
    sink: Sink | None = None
    in_place: bool = Field(default=False, description="Each source is replaced by its output.")
    results: Results | None = None
    on_error: OnError = OnError()
    limits: Limits = Limits()
    priority: int = Field(0, ge=-1000, le=1000)
    labels: dict[Word, Word] = Field({})

    @model_validator(mode="before")
    @classmethod
    def _read_short_steps(cls, value: object) -> object:
        if isinstance(value, Mapping) and isinstance(value.get("steps"), str):
            return {**value, "steps": [value["steps"]]}
        return value

    @classmethod
    def parse(cls, data: object) -> Self:
        """Read a spec from plain data; SpecError names the first wrong key and every other one."""
        if not isinstance(data, Mapping):
            raise SpecError(
                "a job spec is a map of keys", hint="`source` and `steps` are the least"
            )
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise spec_error(error) from None

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form: plain data, from which `parse` makes the same spec again."""
        return self.model_dump(mode="json", exclude_none=True)

    def resolved(self, directory: bytes) -> Self:
        """Give the same spec with absolute URIs, as typed in `directory`."""
        listed = self.source.files_from
        typed = self.source.uri
        if listed is not None and not listed.startswith("job:"):
            typed = typed or ["."]
            listed = listed if listed == "-" else absolute_uri(listed, directory)
        uris = [absolute_uri(uri, directory) for uri in typed]
        after = self.source.after
        if isinstance(after, Move):
            after = Move(move=absolute_uri(after.move, directory))
        source = self.source.model_copy(update={"uri": uris, "files_from": listed, "after": after})
        copy = self.model_copy(update={"source": source})
        for key, part in (("sink", self.sink), ("results", self.results)):
            if part is not None and part.uri is not None:
                absolute = absolute_uri(part.uri, directory)
                copy = copy.model_copy(update={key: part.model_copy(update={"uri": absolute})})
        return copy
