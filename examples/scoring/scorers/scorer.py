"""What a scorer is: an ordinary function with ``@scorer`` above it, as in MLflow.

It takes what it needs by name, any of ``inputs``, ``outputs``, ``expectations`` and ``trace``, and
returns a number from 0 to 1, a boolean, a :class:`Score`, or ``None`` where it has nothing to say.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Callable, Union

from scorers.trace import Trace


@dataclass(frozen=True)
class Score:
    """A value from 0 to 1, and why."""

    value: float
    rationale: str = ""


Judgement = Union[Score, float, bool, None]


@dataclass(frozen=True)
class Scorer:
    """A function that judges a trace, by the function's name."""

    name: str
    function: Callable[..., Judgement]
    takes: tuple[str, ...]

    def __call__(self, trace: Trace) -> Score | None:
        """Judges one trace."""
        offered = {
            "inputs": trace.inputs,
            "outputs": trace.outputs,
            "expectations": trace.expectations,
            "trace": trace,
        }
        judgement = self.function(**{name: offered[name] for name in self.takes})
        if judgement is None or isinstance(judgement, Score):
            return judgement
        return Score(float(judgement))


def scorer(function: Callable[..., Judgement]) -> Scorer:
    """Makes a scorer of a function."""
    takes = tuple(inspect.signature(function).parameters)
    unknown = set(takes) - {"inputs", "outputs", "expectations", "trace"}
    if unknown:
        raise TypeError(f"scorer {function.__name__} takes {sorted(unknown)}, which traces lack")
    return Scorer(function.__name__, function, takes)


def as_score(value: Any) -> dict[str, Any] | None:
    """A score as it stands in a job's result."""
    if not isinstance(value, Score):
        return None
    return {"value": round(value.value, 4), "rationale": value.rationale}
