"""Fails when something that ships with Pravah has a licence outside the allow list.

Shipped are the crates linked into the core and the Python packages that pravah requires at run
time; development tools are not. Licences are read from `cargo metadata` and from the installed
packages' own metadata, as SPDX expressions; nothing is downloaded.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Iterator

ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "PSF-2.0",
        "Unicode-3.0",
        "Unlicense",
        "Zlib",
        "bzip2-1.0.6",
    }
)

# Packages that name no licence in their metadata, with where it was read instead.
READ_BY_HAND = {
    "nanoarrow": "Apache-2.0",  # the old field of its metadata
    "pg8000": "BSD-3-Clause",
    "tzdata": "Apache-2.0",
    "pysqlite3": "Zlib",  # the LICENSE file in its wheel
}

# Older metadata has a classifier instead of an SPDX expression.
CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
}


def main() -> int:
    """Print what is not allowed; give the exit code."""
    refused = [
        f"{package}: {licence or 'no licence named'}"
        for package, licence in sorted({*crates(), *distributions()})
        if not is_allowed(licence)
    ]
    for line in refused:
        print(f"licence not on the allow list: {line}", file=sys.stderr)
    return 1 if refused else 0


def crates() -> Iterator[tuple[str, str]]:
    """Give (name and version, licence) of every crate in the lock file."""
    listed = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"],
        cwd="pravah_core",
        check=True,
        capture_output=True,
    )
    for package in json.loads(listed.stdout)["packages"]:
        yield f"{package['name']} {package['version']}", package["license"] or ""


def distributions() -> Iterator[tuple[str, str]]:
    """Give (name and version, licence) of everything that pravah requires, through all levels."""
    waiting, seen = ["pravah"], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # required on other platforms only
        yield f"{name} {found.version}", licence_of(found)
        waiting += [
            re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
            for requirement in found.requires or ()
            if "extra ==" not in requirement
        ]


def licence_of(distribution: importlib.metadata.Distribution) -> str:
    """Give the SPDX expression that a package states, or an empty string."""
    metadata = distribution.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    for classifier in metadata.get_all("Classifier") or ():
        if classifier in CLASSIFIERS:
            return CLASSIFIERS[classifier]
    return READ_BY_HAND.get(metadata["Name"], "")


def is_allowed(expression: str) -> bool:
    """Judge an SPDX expression: one side of an OR, both of an AND; `/` is an old OR."""
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    allowed, rest = judge_or(tokens)
    return allowed and not rest


def judge_or(tokens: list[str]) -> tuple[bool, list[str]]:
    """Judge `and-expression (OR and-expression)*`; give the verdict and the tokens left."""
    allowed, tokens = judge_and(tokens)
    while tokens[:1] == ["OR"]:
        right, tokens = judge_and(tokens[1:])
        allowed = allowed or right
    return allowed, tokens


def judge_and(tokens: list[str]) -> tuple[bool, list[str]]:
    """Judge `licence (AND licence)*`, as `judge_or` does."""
    allowed, tokens = judge_licence(tokens)
    while tokens[:1] == ["AND"]:
        right, tokens = judge_licence(tokens[1:])
        allowed = allowed and right
    return allowed, tokens


def judge_licence(tokens: list[str]) -> tuple[bool, list[str]]:
    """Judge one licence, with its exception, or an expression in parentheses."""
    if not tokens:
        return False, []
    if tokens[0] == "(":
        allowed, rest = judge_or(tokens[1:])
        return (allowed, rest[1:]) if rest[:1] == [")"] else (False, rest)
    if tokens[1:2] == ["WITH"]:
        return " ".join(tokens[:3]) in ALLOWED, tokens[3:]
    return tokens[0] in ALLOWED, tokens[1:]


if __name__ == "__main__":
    sys.exit(main())
