# SPDX-License-Identifier: Apache-2.0
"""Run the tests on each supported version of Airflow, against the wheel in dist/, and print a table."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.matrix.environment import copy_tests, environment_of, install, the_wheel
from tests.matrix.outcome import Outcome, table
from tests.matrix.versions import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.matrix.versions import Version

_ASK = """
import platform
from importlib.metadata import version
print(version("apache-airflow"), platform.python_version())
"""
_OF_THE_SOURCE = ("tests/unit/test_architecture.py", "tests/unit/test_site.py")
"""Tests of the source tree and of the site; they are the same on every version, and there is no tree here."""


def main() -> int:
    """Run what the command line names; return 1 where a test failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--only", default="", help="minor versions with commas, such as 2.11,3.3; all where empty")
    parser.add_argument("--tests", default="tests/unit,tests/integration", help="folders or files, with commas")
    parser.add_argument("--list", action="store_true", help="only print each version with its Python")
    parser.add_argument("pytest", nargs="*", help="more arguments of pytest, after --")
    asked = parser.parse_args()
    if asked.list:
        print(*(f"{each.minor}:{each.python}" for each in VERSIONS), sep="\n")
        return 0
    names = [name for name in asked.only.split(",") if name]
    if unknown := set(names) - {each.minor for each in VERSIONS}:
        parser.error(f"the versions are {', '.join(each.minor for each in VERSIONS)}, not {', '.join(sorted(unknown))}")

    wheel = the_wheel()
    outcomes = [
        _run(version, wheel, asked.tests.split(","), asked.pytest)
        for version in VERSIONS
        if not names or version.minor in names
    ]
    print(f"\n{table(outcomes)}\n")
    return int(any(each.failed or not each.passed for each in outcomes))


def _run(version: Version, wheel: Path, tests: Sequence[str], more: Sequence[str]) -> Outcome:
    """Run the tests on one version and say how it went."""
    begun = time.monotonic()
    install(version, wheel)
    tree = copy_tests(version)
    environment = environment_of(version)
    told = subprocess.run(  # noqa: S603 - our own program
        [version.interpreter, "-c", _ASK], env=environment, capture_output=True, text=True, check=True
    )
    airflow, python = told.stdout.split()
    print(f"Airflow {airflow} on Python {python}: installed in {time.monotonic() - begun:.0f} s", flush=True)

    report, log = version.folder / "report.xml", version.folder / "log.txt"
    report.unlink(missing_ok=True)
    begun = time.monotonic()
    with log.open("wb") as output:
        done = subprocess.run(  # noqa: S603 - our own program
            [
                version.interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.matrix.installed",
                f"--junitxml={report}", *(f"--ignore={path}" for path in _OF_THE_SOURCE), *more, *tests,
            ],
            cwd=tree,
            env=environment | {"PYTHONPATH": str(tree)},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )  # fmt: skip
    outcome = Outcome(version, airflow, python, time.monotonic() - begun)
    if report.exists():
        outcome.read(report)
    if done.returncode and not outcome.failed:
        outcome.failed.append(f"pytest ended with {done.returncode}")
    if outcome.failed:
        print(log.read_text(encoding="utf-8", errors="replace")[-20_000:], flush=True)
    print(f"  {outcome.passed} passed, {outcome.skipped.total()} skipped, {len(outcome.failed)} failed "
          f"in {outcome.seconds:.0f} s", flush=True)  # fmt: skip
    return outcome


if __name__ == "__main__":
    sys.exit(main())
