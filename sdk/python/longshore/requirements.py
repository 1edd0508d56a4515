"""Which requirement specifiers a job type may name."""

from __future__ import annotations

import re

# A name, extras, then a version, a marker or a URL of a remote scheme. Anything else (options,
# paths, `-r file`) would let a job type read the machine's files or steer pip.
_REQUIREMENT = re.compile(
    r"""(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)
        \s*(?:\[[A-Za-z0-9._,\s-]*\])?
        \s*(?:[<>=!~;(].*|@\s*(?:git\+)?https?://\S+(?:\s*;.*)?)?""",
    re.VERBOSE,
)


def check_requirement(requirement: str) -> str | None:
    """Says what is wrong with a requirement specifier, or ``None``."""
    if not _REQUIREMENT.fullmatch(requirement.strip()):
        return (
            f"{requirement!r} is not a requirement such as 'scikit-learn==1.5.0'"
            " (options, files and local paths are not accepted)"
        )
    return None
