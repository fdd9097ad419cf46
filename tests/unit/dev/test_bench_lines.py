# SPDX-License-Identifier: Apache-2.0
"""The table of the measurement says what was measured, and what was not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.bench.lines import growth_lines, import_line, speed_lines
from dev.bench.plan import FORMATS, Effort, Runs, growth_cases, run_rounds, speed_cases
from dev.bench.recordings import recording_cases, recording_lines
from dev.bench.report import seconds_table, table
from dev.bench.running import READERS, Case, Run
from tests.documents import put_between

CALLS = 1000
OURS = Case("ours", "jsonl", 0, CALLS)
EFFORT = Effort(calls=CALLS, growth=(1, 10, 100))


def run(seconds=1.0, *, peak_kib=0, cpu=1.0):
    return Run(seconds, seconds, cpu, peak_kib, {"cpu": cpu})


def runs_of(**seconds):
    """Return runs without latency: for each reader its seconds, round by round."""
    runs = Runs()
    for reader, each in seconds.items():
        for number, one in enumerate(each):
            runs.add(replace(OURS, reader=reader), number, run(one))
    return runs


def line_of(lines, *words):
    (found,) = [line for line in lines if all(word in line.work for word in words)]
    return found


def test_a_ratio_is_the_median_of_those_within_the_rounds():
    runs = runs_of(ours=[1.0, 10.0, 2.0], floor=[0.5, 9.0, 0.2])

    assert runs.times_as_fast(OURS, replace(OURS, reader="floor")) == 0.5


def test_a_reader_with_fewer_rounds_is_compared_within_those():
    runs = runs_of(ours=[1.0, 100.0, 100.0], dlt_rest_api=[20.0])

    assert runs.times_as_fast(OURS, replace(OURS, reader="dlt_rest_api")) == 20.0


def test_where_nothing_waits_the_processor_times_are_compared_too():
    runs = Runs()
    for reader, wall, cpu in (("ours_operator", 1.0, 0.5), ("requests_loop", 4.0, 1.0)):
        runs.add(replace(OURS, reader=reader), 0, run(wall, cpu=cpu))

    assert line_of(speed_lines(runs, CALLS), "`jsonl`", "`requests`").measured == "4.00 (2.00 by processor time)"


@pytest.mark.parametrize(("seconds", "met"), [(0.25, True), (0.24, False)])
def test_a_line_is_met_from_what_is_required_on(seconds, met):
    lines = list(speed_lines(runs_of(ours_operator=[1.0], urllib3_floor=[seconds]), CALLS))

    assert line_of(lines, "no latency", "`jsonl`", "floor").met is met


def test_what_was_not_run_is_not_available_and_not_met():
    lines = [*speed_lines(Runs(), CALLS), *growth_lines(Runs(), EFFORT)]

    assert {line.met for line in lines} == {None}
    assert all("not available" in line.row() for line in lines)


@pytest.mark.parametrize(("more_mib", "met"), [(32.0, True), (32.1, False), (-1, True)])
def test_memory_is_compared_between_the_fewest_and_the_most_calls(more_mib, met):
    runs = Runs()
    for calls, mib in ((1, 100), (10, 9999), (100, 100 + more_mib)):
        runs.add(replace(OURS, calls=calls), 0, run(peak_kib=int(mib * 1024)))

    assert line_of(growth_lines(runs, EFFORT), "memory", "`jsonl`").met is met


@pytest.mark.parametrize(("last", "met"), [(1.0, True), (1.09, True), (1.2, False), (0.5, True)])
def test_processor_time_is_linear_where_a_call_costs_no_more_in_a_larger_window(last, met):
    runs = Runs()
    for calls, each in ((10, 1.0), (100, last)):
        runs.add(replace(OURS, calls=calls), 0, run(cpu=calls * each))

    assert line_of(growth_lines(runs, EFFORT), "processor", "`jsonl`").met is met


@pytest.mark.parametrize(("more", "met"), [(0, True), (15, True), (15.1, False)])
def test_tables_cost_what_a_run_with_them_takes_more_of_the_processor(more, met):
    runs = Runs()
    for number, (alone, noise) in enumerate([(30, 0), (40, 0), (90, 500)]):
        for reader, each in (("ours", alone), ("ours_tables", alone + more + noise)):
            runs.add(replace(OURS, reader=reader, format="parquet", calls=10), number, run(cpu=each * 10 / 1e6))

    assert line_of(growth_lines(runs, EFFORT), "all tables beside", "10 calls").met is met


@pytest.mark.parametrize(("middle", "met"), [(10.0, True), (10.1, False)])
def test_the_import_counts_by_its_median(middle, met):
    assert import_line([1.0, middle, 500.0]).met is met


def test_the_rounds_are_run_in_turn_and_each_output_is_counted_once():
    ran = []
    absent = replace(OURS, format="parquet")
    floor = replace(OURS, reader="floor")
    plan = [(OURS, 2), (absent, 2), (floor, 1), (replace(OURS, calls=5), 2)]

    def one(case):
        ran.append(case)
        return None if case == absent else run()

    runs = run_rounds(plan, one, lambda: CALLS, told=lambda _: None)

    assert ran == [OURS, absent, floor, replace(OURS, calls=5), OURS, replace(OURS, calls=5)]
    assert runs.distinct == {OURS: CALLS, replace(OURS, calls=5): CALLS}
    assert "only 1000" in seconds_table(runs)
    assert "complete" in seconds_table(runs)


def test_a_reader_that_fails_does_not_end_the_measurement():
    def one(case):
        if case.reader == "floor":
            msg = "it ended with 1"
            raise RuntimeError(msg)
        return run()

    runs = run_rounds([(replace(OURS, reader="floor"), 2), (OURS, 2)], one, lambda: CALLS, told=lambda _: None)

    assert list(runs.failed.values()) == ["it ended with 1"]
    assert len(runs.of(OURS)) == 2


def test_every_reader_is_run_in_the_long_and_in_the_short_form():
    for effort in (Effort(), Effort.quick()):
        cases = [case for case, _ in (*speed_cases(effort), *recording_cases(effort))]

        every = {case.reader for case in (*cases, *dict(growth_cases(effort)))}
        assert every == {reader for reader in READERS if "audit" not in reader}
        assert len(cases) == len(set(cases))
        assert len(list(growth_cases(effort))) == len(dict(growth_cases(effort)))
        assert {case.format for case in cases if case.reader == "ours_operator" and not case.wait_ms} == set(FORMATS)


def test_what_a_line_compares_is_run():
    runs = Runs()
    for case, _ in speed_cases(EFFORT):
        runs.add(case, 0, run())

    for case, _ in recording_cases(EFFORT):
        runs.add(case, 0, run())

    assert all(line.met is not None for line in (*speed_lines(runs, CALLS), *recording_lines(runs, EFFORT)))


def test_a_report_goes_between_the_marks_of_a_document(tmp_path):
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n")

    put_between(document, "bench", f"{table([import_line([1.0])])}\n\\1")

    text = document.read_text()
    assert text.startswith("before\n<!-- bench: begin -->\n| work |")
    assert text.endswith("\\1<!-- bench: end -->\nafter\n")
    assert "old" not in text
