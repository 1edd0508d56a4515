"""`@job`: what it accepts, and what it says about mistakes."""

from __future__ import annotations

import unittest
from datetime import timedelta
from typing import Any

from longshore import DeclarationError, PythonEnv, job
from longshore.declaration import Declaration, declaration_of


def plain(experiment_id: str, limit: int = 10) -> str:
    return f"{experiment_id}:{limit}"


def takes_anything(**params: object) -> None:
    pass


def positional(a: int, /) -> None:
    pass


class Job(unittest.TestCase):
    def declared(self, function: Any = plain, **arguments: Any) -> Declaration:
        declaration = declaration_of(job(name="scoring", **arguments)(function))
        assert declaration is not None
        return declaration

    def refused(self, function: Any = plain, **arguments: Any) -> str:
        with self.assertRaises(DeclarationError) as caught:
            job(**{"name": "scoring", **arguments})(function)
        return str(caught.exception)

    def test_the_function_stays_as_it_is(self) -> None:
        decorated = job(name="scoring")(plain)
        self.assertIs(decorated, plain)
        self.assertEqual(decorated("7"), "7:10")

    def test_everything_is_remembered(self) -> None:
        self.assertEqual(
            self.declared(
                max_workers=4,
                timeout=timedelta(minutes=10),
                transient_error_classes=[ConnectionError],
                exclusive=["experiment_id"],
                pip_requirements=["scikit-learn==1.5.0"],
                resource_requests={"cpu": "500m"},
                resource_limits={"memory": "1Gi"},
            ),
            Declaration(
                name="scoring",
                max_workers=4,
                timeout=600.0,
                transient_error_classes=(ConnectionError,),
                exclusive=("experiment_id",),
                python_env=PythonEnv(("scikit-learn==1.5.0",)),
                resource_requests={"cpu": "500m"},
                resource_limits={"memory": "1Gi"},
            ),
        )

    def test_what_is_left_out_is_left_to_the_host(self) -> None:
        self.assertEqual(self.declared(), Declaration(name="scoring"))

    def test_a_function_without_a_declaration_has_none(self) -> None:
        self.assertIsNone(declaration_of(positional))
        self.assertIsNone(declaration_of(unittest.TestCase))

    def test_only_module_level_functions_are_accepted(self) -> None:
        def inner() -> None:
            pass

        self.assertIn("top level of its module", self.refused(inner))
        self.assertIn("top level of its module", self.refused(lambda: None))
        self.assertIn("top level of its module", self.refused(Job.declared))
        self.assertIn("decorates functions, not a type", self.refused(Job))
        self.assertIn("decorates functions, not a builtin", self.refused(len))

    def test_a_parameter_that_has_no_name_to_call_it_by_is_refused(self) -> None:
        self.assertIn("'a' is positional-only", self.refused(positional))

    def test_forgotten_parentheses_are_explained(self) -> None:
        with self.assertRaisesRegex(DeclarationError, "needs its parentheses"):
            job(name=plain)  # type: ignore[arg-type]

    def test_a_mistake_names_the_function_and_the_argument(self) -> None:
        message = self.refused(max_workers=0)
        self.assertIn("@job on tests.test_declaration.plain: max_workers is 0", message)

    def test_mistakes_are_found(self) -> None:
        mistakes: list[tuple[str, dict[str, Any]]] = [
            ("name is ''", {"name": ""}),
            ("name is 7", {"name": 7}),
            ("name is 'a b'", {"name": "a b"}),
            ("name is", {"name": "a" * 201}),
            ("max_workers is True", {"max_workers": True}),
            ("max_workers is 1.5", {"max_workers": 1.5}),
            ("timeout is 0", {"timeout": 0}),
            ("timeout is -1", {"timeout": -1}),
            ("timeout is nan", {"timeout": float("nan")}),
            ("timeout is inf", {"timeout": float("inf")}),
            ("timeout is '10m'", {"timeout": "10m"}),
            ("transient_error_classes has 'OSError'", {"transient_error_classes": ["OSError"]}),
            ("transient_error_classes has <class 'int'>", {"transient_error_classes": [int]}),
            ("must be a list", {"transient_error_classes": OSError}),
            ("exclusive names 'experiment'", {"exclusive": ["experiment"]}),
            ("must be a list", {"exclusive": "experiment_id"}),
            ("exclusive is empty", {"exclusive": []}),
            ("requirements: '-r x'", {"pip_requirements": ["-r x"]}),
            ("must be a list", {"pip_requirements": "six"}),
            ("requirements: 7 is not a string", {"pip_requirements": [7]}),
            ("not both", {"pip_requirements": ["six"], "python_env": PythonEnv(("six",))}),
            ("python_env is a dict", {"python_env": {}}),
            ("index_url is 'ftp:", {"python_env": PythonEnv(("six",), "ftp://example.org")}),
            ("resource_requests['cpu'] is 'lots'", {"resource_requests": {"cpu": "lots"}}),
            ("resource_limits['cpu'] is '0'", {"resource_limits": {"cpu": "0"}}),
            ("resource_limits['cpu'] is 1", {"resource_limits": {"cpu": 1}}),
            ("resource_limits is ['cpu']", {"resource_limits": ["cpu"]}),
        ]
        for expected, arguments in mistakes:
            with self.subTest(expected):
                self.assertIn(expected, self.refused(**arguments))

    def test_a_function_that_takes_anything_may_be_exclusive_by_anything(self) -> None:
        self.assertEqual(self.declared(takes_anything, exclusive=["key"]).exclusive, ("key",))


if __name__ == "__main__":
    unittest.main()
