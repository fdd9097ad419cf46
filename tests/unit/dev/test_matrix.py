# SPDX-License-Identifier: Apache-2.0
"""The matrix counts what pytest reports, keeps it, and shows it as tables in the document."""

from __future__ import annotations

from dev.matrix.outcome import Outcome, tables
from tests.documents import put_between

REPORT = """<testsuites><testsuite>
<testcase classname="a" name="one"/>
<testcase classname="a" name="two"><skipped message="new in Airflow 3.2: runs"/></testcase>
<testcase classname="a" name="three"><skipped message="root may write everywhere"/></testcase>
<testcase classname="b" name="four"><failure message="no"/></testcase>
<testcase classname="b" name="five"><error message="no"/></testcase>
</testsuite></testsuites>"""
TABLES = """| Airflow | Python | passed | skipped | failed |
| --- | --- | ---: | ---: | ---: |
| 2.11.2 | 3.10.13 | 1 | 2 | 2 |
| 3.3.2 | 3.13.0 | 4,321 | 0 | 0 |

| reason of skipped tests | 2.11 | 3.3 |
| --- | ---: | ---: |
| new in Airflow 3.2: runs | 1 |  |
| root may write everywhere | 1 |  |
"""


AGAIN = """<testsuites><testsuite>
<testcase classname="b" name="four"/>
<testcase classname="b" name="five"><failure message="no"/></testcase>
<testcase classname="b" name="six"/>
</testsuite></testsuites>"""


def outcomes(folder):
    (folder / "report.xml").write_text(REPORT, encoding="utf-8")
    old = Outcome("2.11", "2.11.2", "3.10.13", "digest")
    old.read(folder / "report.xml")
    return [old, Outcome("3.3", "3.3.2", "3.13.0", "digest", passed=4321)]


def test_an_outcome_is_counted_from_the_report_and_shown_by_version_and_reason(tmp_path):
    old, new = outcomes(tmp_path)

    assert old.failed == ["b::four", "b::five"]
    assert tables([old, new]) == TABLES


def test_what_passes_when_it_runs_alone_has_passed_and_is_named(tmp_path):
    old, new = outcomes(tmp_path)
    (tmp_path / "again.xml").write_text(AGAIN, encoding="utf-8")

    old.read_again(tmp_path / "again.xml")
    new.again = [f"tests.integration.test_cures::{name}" for name in ("test_a", "test_b")]
    new.again.append("tests.unit.dev.test_b.TestC::test_d")

    assert (old.passed, old.failed, old.again) == (2, ["b::five"], ["b::four"])
    assert "| 3.3 | 1 of `test_b`, 2 of `test_cures` |" in tables([new])


def test_the_file_of_a_failed_test_is_found_also_where_it_is_in_a_class(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").touch()
    failed = ["tests.test_a::test_one", "tests.test_a.TestMore::test_two", "tests.test_gone::test_three"]

    assert Outcome("3.3", "3.3.2", "3.13.0", "", failed=failed).failed_files(tmp_path) == ["tests/test_a.py"]


def test_an_outcome_is_the_same_when_it_was_kept(tmp_path):
    old, _ = outcomes(tmp_path)

    old.save(tmp_path / "outcome.json")

    assert Outcome.load(tmp_path / "outcome.json") == old


def test_the_tables_replace_those_between_the_marks(tmp_path):
    document = tmp_path / "document.md"
    document.write_text("before\n<!-- matrix: begin -->\nold\n<!-- matrix: end -->\nafter\n", encoding="utf-8")

    put_between(document, "matrix", TABLES)

    assert document.read_text(encoding="utf-8") == (
        f"before\n<!-- matrix: begin -->\n{TABLES}<!-- matrix: end -->\nafter\n"
    )
