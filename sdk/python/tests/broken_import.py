"""A module that lacks something; `entry` and `describe` must say what."""

import absent_dependency  # type: ignore[import-not-found]  # noqa: F401


def function() -> None:
    pass
