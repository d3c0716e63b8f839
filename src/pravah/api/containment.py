"""How far the jobs of a caller may reach: below the roots that the operator allows, and no further.

Everything in a spec that names a place is looked at as the file system has it, with links and `..`
resolved, and compared name by name. It is looked at before anything else of a spec, so that an
answer tells nothing of what lies outside.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pravah.api.callers import Caller
from pravah.api.problems import Problem
from pravah.model.glob import split_glob
from pravah.model.spec import JobSpec, Move
from pravah.model.uri import NULL, absolute_uri, shown_path, uri_path
from pravah.registry import registry

_STORE = re.compile(r"s3(?:\+([A-Za-z0-9_-]+))?://")
# They run what they are told to, as the server's user.
_COMMANDS = ("exec", "python")


class Containment:
    """The roots of a server, as its file system has them."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = [os.path.realpath(bytes(root)) for root in roots]

    def check(self, spec: JobSpec, caller: Caller, *, uploaded: bool = False) -> None:
        """Refuse a spec that reaches further than its caller may; 403, with a hint.

        The source of one whose files came with it is a directory of the server's own.
        """
        for step in spec.steps:
            if step.name in _COMMANDS:
                raise _refusal("step_not_allowed", f"`{step.name}` is not for callers of the API")
        for what, uri in _places(spec):
            if uri != NULL and not (uploaded and what == "source"):
                self._check_place(what, uri, caller)
        if b"/" not in self._of(caller):
            _check_links(spec)

    def check_outputs(self, spec: JobSpec, caller: Caller) -> None:
        """Refuse to touch outputs of a job that lie further than a caller may reach."""
        for what, uri in _places(spec):
            if what in ("sink", "results.uri") and uri != NULL:
                self._check_place(what, uri, caller)

    def check_path(self, what: str, path: bytes, caller: Caller) -> None:
        """Refuse to tell of a path, or of an object, that a caller may not reach."""
        if (store := _STORE.match(os.fsdecode(path))) is not None:
            _check_connection(what, store[1] or "default", caller)
        else:
            _check_real(what, path, path, self._of(caller))

    def _check_place(self, what: str, uri: str, caller: Caller) -> None:
        if (store := _STORE.match(uri)) is not None:
            _check_connection(what, store[1] or "default", caller)
        else:
            _check_path(what, uri, self._of(caller))

    def _of(self, caller: Caller) -> list[bytes]:
        """Give the roots of a caller: those of the key, as far as they lie below the server's."""
        if caller.roots is None:
            return self._roots
        own = [os.path.realpath(os.fsencode(root)) for root in caller.roots]
        narrowed = [root for root in own if any(_below(root, above) for above in self._roots)]
        whole = [root for root in self._roots if any(_below(root, above) for above in own)]
        return narrowed + whole


def _places(spec: JobSpec) -> Iterator[tuple[str, str]]:
    """Give every place that a spec names, with the key that names it."""
    listed = spec.source.files_from
    typed = spec.source.uri or ([] if (listed or "").startswith("job:") else ["."])
    yield from (("source", uri) for uri in typed)
    if listed == "-":
        raise _refusal("root_not_allowed", "`source.files_from` is `-`, the server's own input")
    if listed is not None and not listed.startswith("job:"):
        yield "source.files_from", listed
    if spec.sink is not None:
        yield "sink", spec.sink.uri
    if spec.results is not None and spec.results.uri is not None:
        yield "results.uri", spec.results.uri
    if isinstance(spec.source.after, Move):
        yield "source.after", spec.source.after.move
    known = {descriptor.name: descriptor for descriptor in registry()}
    for step in spec.steps:
        for name, value in step.params.items():
            described = known[step.name].properties.get(name, {}) if step.name in known else {}
            if described.get("format") == "path" and isinstance(value, str):
                yield f"{step.name}.{name}", value


def _check_path(what: str, uri: str, allowed: list[bytes]) -> None:
    path = uri_path(absolute_uri(uri, os.fsencode(Path.cwd())))
    glob = split_glob(path)
    # A name that looks like a glob may be there; a glob begins where its first pattern stands.
    for meant in (path, *([glob[0]] if glob else [])):
        _check_real(what, path, meant, allowed)


def _check_real(what: str, path: bytes, meant: bytes, allowed: list[bytes]) -> None:
    """Refuse a path by where it leads to."""
    real = os.path.realpath(meant)
    if not any(_below(real, root) for root in allowed):
        roots = ", ".join(map(shown_path, allowed)) or "no directory at all"
        raise _refusal(
            "root_not_allowed", f"{what}: `{shown_path(path)}` is below none of: {roots}"
        )


def _check_connection(what: str, name: str, caller: Caller) -> None:
    if caller.connections is not None and name not in caller.connections:
        raise _refusal("connection_not_allowed", f"{what}: the key may not use `{name}`")


def _check_links(spec: JobSpec) -> None:
    """Refuse what follows links, or makes some: where they will lead nobody can tell now."""
    if spec.source.follow_symlinks:
        raise _refusal("links_not_allowed", "`source.follow_symlinks` may lead out of the roots")
    if spec.sink is not None and "links" in spec.sink.preserve:
        raise _refusal("links_not_allowed", "`sink.preserve: links` may lead out of the roots")


def _below(path: bytes, root: bytes) -> bool:
    """Compare names, not letters: `/database` is not below `/data`."""
    return root == b"/" or path == root or path.startswith(root + b"/")


def _refusal(kind: str, detail: str) -> Problem:
    hints = {
        "root_not_allowed": "the operator can add it to PRAVAH_ALLOWED_ROOTS, or to the key",
        "connection_not_allowed": "the operator makes keys for other connections",
        "links_not_allowed": "leave it out; it is for callers that reach everything",
        "step_not_allowed": "run the job by `pravah run` on the machine itself",
    }
    return Problem(403, kind, detail, hint=hints[kind])
