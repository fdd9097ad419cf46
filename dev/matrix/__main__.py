# SPDX-License-Identifier: Apache-2.0
"""Run the tests on each supported version of Airflow, against the wheel in dist/, and print what they came to."""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dev.matrix.environment import copy_tests, environment_of, install, the_wheel
from dev.matrix.outcome import DOCUMENT, Outcome, tables
from dev.matrix.versions import VERSIONS
from tests.documents import put_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dev.matrix.versions import Version

_ASK = """
import platform
from importlib.metadata import version
print(version("apache-airflow"), platform.python_version())
"""
_ALL = "tests/unit,tests/integration"
_OF_THE_SOURCE = ("tests/unit/test_architecture.py", "tests/unit/docs/test_site.py")
"""Tests of the source tree and of the site; they are the same on every version, and there is no tree here."""


def main() -> int:
    """Run what the command line names; return 1 where a test failed."""
    parser = argparse.ArgumentParser(prog="python -m dev.matrix", description=__doc__)
    parser.add_argument("--only", default="", help="minor versions with commas, such as 2.11,3.3; all where empty")
    parser.add_argument("--tests", default=_ALL, help="folders or files, with commas")
    parser.add_argument(
        "--write",
        action="store_true",
        help="put the tables into docs/compatibility.md; versions that "
        "do not run now keep what all tests came to when they last ran against the same wheel",
    )
    parser.add_argument("--python", default="", help="another Python than the matrix has, such as 3.14")
    parser.add_argument("--browser", action="store_true", help="install what drives a browser, too")
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
    outcomes = []
    for version in VERSIONS:
        if names and version.minor not in names:
            continue
        asked_for = replace(version, python=asked.python or version.python)
        outcomes.append(_run(asked_for, wheel, asked))
        if asked.tests == _ALL and not asked.pytest and asked_for == version:
            outcomes[-1].save(version.outcome)
    print(f"\n{tables(outcomes)}\n")
    print(*(f"failed on {each.minor}: {name}" for each in outcomes for name in each.failed), sep="\n")
    print(*(f"passed alone on {each.minor}: {name}" for each in outcomes for name in each.again), sep="\n")
    bad = any(each.failed or not each.passed for each in outcomes)
    if asked.write and not bad:
        _write(_digest(wheel))
    return int(bad)


def _write(digest: str) -> None:
    """Put the tables of all versions into the document."""
    kept = [Outcome.load(version.outcome) for version in VERSIONS if version.outcome.exists()]
    whole = {each.minor for each in kept if each.wheel == digest and not each.failed}
    if missing := [version.minor for version in VERSIONS if version.minor not in whole]:
        raise SystemExit(f"Not written: all tests must have passed against this wheel on {', '.join(missing)}, too.")
    put_between(DOCUMENT, "matrix", tables(kept))


def _digest(wheel: Path) -> str:
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def _run(version: Version, wheel: Path, asked: argparse.Namespace) -> Outcome:
    """Run the tests on one version and say how it went."""
    begun = time.monotonic()
    install(version, wheel, browser=asked.browser)
    tree = copy_tests(version)
    environment = environment_of(version)
    told = subprocess.run(  # noqa: S603 - our own program
        [version.interpreter, "-c", _ASK], env=environment, capture_output=True, text=True, check=True
    )
    airflow, python = told.stdout.split()
    print(f"Airflow {airflow} on Python {python}: installed in {time.monotonic() - begun:.0f} s", flush=True)

    begun = time.monotonic()
    outcome = Outcome(version.minor, airflow, python, _digest(wheel))
    arguments = ["-n", "auto", "--dist", "loadfile", *asked.pytest, *asked.tests.split(",")]
    code = _pytest(version, tree, environment, arguments, outcome.read)
    if files := outcome.failed_files(tree):
        # What starts a whole Airflow can be too slow beside other tests; what fails alone, too, has failed.
        print(f"  once more, alone: {', '.join(files)}", flush=True)
        _pytest(version, tree, environment, [*asked.pytest, *files], outcome.read_again)
    outcome.seconds = time.monotonic() - begun
    if code and not outcome.failed and not outcome.again:
        outcome.failed.append(f"pytest ended with {code}")
    print(f"  {outcome.passed} passed, {outcome.skipped.total()} skipped, {len(outcome.failed)} failed "
          f"in {outcome.seconds:.0f} s", flush=True)  # fmt: skip
    return outcome


def _pytest(
    version: Version, tree: Path, environment: dict[str, str], arguments: list[str], read: Callable[[Path], None]
) -> int:
    """Run pytest, have its report read, and print the end of its log where a test failed."""
    report, log = version.folder / "report.xml", version.folder / "log.txt"
    report.unlink(missing_ok=True)
    with log.open("wb") as output:
        done = subprocess.run(  # noqa: S603 - our own program
            [
                version.interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "dev.matrix.installed",
                f"--junitxml={report}", *(f"--ignore={path}" for path in _OF_THE_SOURCE), *arguments,
            ],
            cwd=tree,
            env=environment | {"PYTHONPATH": str(tree)},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )  # fmt: skip
    if report.exists():
        read(report)
    if done.returncode:
        print(log.read_text(encoding="utf-8", errors="replace")[-20_000:], flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
