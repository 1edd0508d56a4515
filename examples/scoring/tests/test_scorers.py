"""What each scorer says about a trace."""

from __future__ import annotations

import unittest
from typing import Any

from scorers.correctness import correctness
from scorers.politeness import politeness
from scorers.scorer import Score, scorer
from scorers.tool_use import tool_use
from scorers.trace import Span, Trace


def trace(
    answer: str | None = "",
    *,
    tools: tuple[Span, ...] = (),
    failed: bool = False,
    **expected: Any,
) -> Trace:
    outputs = None if answer is None else {"role": "assistant", "content": answer}
    return Trace("tr-1", {"messages": []}, outputs, expected, tools, failed)


def tool(name: str, outputs: Any = None, *, failed: bool = False) -> Span:
    return Span(name, None, name, "TOOL", {}, outputs, failed)


class ScorerTest(unittest.TestCase):
    def value(self, score: Score | None) -> float:
        assert score is not None
        return round(score.value, 2)


class Correctness(ScorerTest):
    def test_every_fact_counts_the_same(self) -> None:
        facts = ["HG-1", "in transit"]
        self.assertEqual(
            self.value(correctness(trace("HG-1 is in transit", expected_facts=facts))), 1
        )
        self.assertEqual(self.value(correctness(trace("HG-1 is lost", expected_facts=facts))), 0.5)
        self.assertEqual(self.value(correctness(trace("no idea", expected_facts=facts))), 0)

    def test_case_width_and_spaces_make_no_difference(self) -> None:
        answer = "Your parcel\u00a0is IN\n TRANSIT, １２ days"
        facts = ["in transit", "12 days"]
        self.assertEqual(self.value(correctness(trace(answer, expected_facts=facts))), 1)

    def test_a_missing_fact_is_named(self) -> None:
        score = correctness(trace("no idea", expected_facts=["30 days"]))
        assert score is not None
        self.assertEqual(score.rationale, "does not say: 30 days")

    def test_a_refusal_is_right_only_where_it_is_expected(self) -> None:
        refusal = "I'm sorry, but I can\u2019t help with that."
        self.assertEqual(self.value(correctness(trace(refusal, should_refuse=True))), 1)
        self.assertEqual(self.value(correctness(trace("Sure!", should_refuse=True))), 0)
        self.assertEqual(self.value(correctness(trace(refusal, expected_facts=["a"]))), 0)

    def test_an_apology_is_no_refusal(self) -> None:
        answer = "Sorry for the delay, it takes 10 days."
        self.assertEqual(self.value(correctness(trace(answer, expected_facts=["10 days"]))), 1)

    def test_a_failed_trace_is_wrong(self) -> None:
        self.assertEqual(self.value(correctness(trace(None, failed=True, expected_facts=["a"]))), 0)

    def test_without_expectations_there_is_nothing_to_say(self) -> None:
        self.assertIsNone(correctness(trace("hello")))


class ToolUse(ScorerTest):
    def test_called_succeeded_and_used_is_all(self) -> None:
        done = trace("it is 12.50", tools=(tool("sum", {"value": 12.5}),), expected_tools=["sum"])
        self.assertEqual(self.value(tool_use(done)), 1)

    def test_a_failed_tool_counts_as_called_only(self) -> None:
        done = trace("about 12", tools=(tool("sum", failed=True),), expected_tools=["sum"])
        self.assertEqual(self.value(tool_use(done)), 0.33)

    def test_a_tool_that_failed_first_and_then_succeeded_has_succeeded(self) -> None:
        tools = (tool("sum", failed=True), tool("sum", {"value": 12.5}))
        self.assertEqual(
            self.value(tool_use(trace("it is 12.5", tools=tools, expected_tools=["sum"]))), 1
        )

    def test_an_answer_that_ignores_the_tool_loses_a_third(self) -> None:
        done = trace("it is 13", tools=(tool("sum", {"value": 12.5}),), expected_tools=["sum"])
        score = tool_use(done)
        self.assertEqual(self.value(score), 0.67)
        assert score is not None
        self.assertEqual(score.rationale, "the answer uses nothing that the tools said")

    def test_a_tool_that_was_not_called_is_named(self) -> None:
        score = tool_use(trace("12.5", expected_tools=["sum"]))
        self.assertEqual(self.value(score), 0)
        assert score is not None
        self.assertEqual(score.rationale, "sum was not called")

    def test_without_tools_there_is_nothing_to_say(self) -> None:
        self.assertIsNone(tool_use(trace("hello")))


class Politeness(ScorerTest):
    def test_kind_rude_and_neutral(self) -> None:
        for answer, value in {
            "Thank you for asking.": 1.0,
            "Merci de votre patience.": 1.0,
            "Thanks, obviously.": 0.0,
            "It is 12.": 0.5,
        }.items():
            with self.subTest(answer):
                self.assertEqual(self.value(politeness(trace(answer))), value)

    def test_no_answer_is_neither(self) -> None:
        self.assertIsNone(politeness(trace(None, failed=True)))


class AnyScorer(ScorerTest):
    def test_a_function_gets_what_it_names(self) -> None:
        @scorer
        def short(outputs: Any) -> bool:
            return len(outputs["content"]) < 10

        self.assertEqual(short(trace("hello")), Score(1.0))
        self.assertEqual(short(trace("hello and good-bye")), Score(0.0))

    def test_a_function_that_wants_something_else_is_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, r"\['model'\]"):

            @scorer
            def wants_a_model(model: str) -> bool:
                return bool(model)


if __name__ == "__main__":
    unittest.main()
