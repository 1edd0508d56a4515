"""Whether the right tools were called, whether they worked, and whether the answer used them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scorers.scorer import Score, scorer
from scorers.trace import Trace


@scorer
def tool_use(trace: Trace, expectations: dict[str, Any]) -> Score | None:
    """A third each: the expected tools were called, they succeeded, the answer uses what they said.

    A tool that failed and then succeeded has succeeded.
    """
    expected = set(expectations.get("expected_tools") or [])
    tools = trace.tools()
    if not expected and not tools:
        return None
    called = {tool.name for tool in tools}
    worked = {tool.name for tool in tools if not tool.failed}
    wanted = expected or called
    used = any(
        value in trace.answer
        for tool in tools
        if not tool.failed
        for value in _values(tool.outputs)
    )
    complaints = [
        *(f"{name} was not called" for name in sorted(wanted - called)),
        *(f"{name} failed" for name in sorted((wanted & called) - worked)),
    ]
    if worked and not used:
        complaints.append("the answer uses nothing that the tools said")
    share = (len(wanted & called) + len(wanted & worked)) / len(wanted)
    return Score((share + used) / 3, "; ".join(complaints) or "called, succeeded and used")


def _values(outputs: Any) -> Iterator[str]:
    """The values in a tool's output that could be quoted."""
    if isinstance(outputs, dict):
        for value in outputs.values():
            yield from _values(value)
    elif isinstance(outputs, list):
        for value in outputs:
            yield from _values(value)
    elif isinstance(outputs, bool) or outputs is None:
        return
    elif isinstance(outputs, float):
        yield f"{outputs:.2f}"
        yield str(outputs)
    elif len(str(outputs)) > 1:
        yield str(outputs)
