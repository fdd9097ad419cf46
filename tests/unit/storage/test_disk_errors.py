# SPDX-License-Identifier: Apache-2.0
"""A full disk of temporary files is told with its cure, whatever was written there."""

from __future__ import annotations

import tempfile

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_synthflow.auditing.call_ids import CallIds
from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowTransientError
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.storage.object_store import ObjectStore

FULL = r"The temporary directory .* cannot be written: its disk is full. Free space there, or set TMPDIR to"
MANY = b"x" * 5_000_000


def write_a_spill() -> None:
    with Spill() as spill:
        spill.put(["a"], [1], [MANY])


def write_a_file_for_a_store() -> None:
    with ObjectStore(MemoryFileSystem(), "/lake", "any://lake").stage("a") as staged:
        staged.write(MANY)


def write_the_ids_of_an_audit() -> None:
    with CallIds() as ids:
        for number in range(60):
            ids.add(number, [(f"{number}-{each}" * 10, True) for each in range(10_000)])


@pytest.mark.parametrize("write", [write_a_spill, write_a_file_for_a_store])
def test_a_full_disk_of_temporary_files_may_pass_and_is_told_with_its_cure(monkeypatch, write):
    # The system's own device that is always full.
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))  # noqa: PTH123, SIM115

    with pytest.raises(SynthflowTransientError, match=FULL):
        write()


def test_a_full_disk_below_an_audit_is_told_with_its_cure(tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: str(tmp_path / "full"))
    for number in range(64):
        (tmp_path / "full" / str(number)).symlink_to("/dev/full")

    with pytest.raises(SynthflowTransientError, match=FULL):
        write_the_ids_of_an_audit()


@pytest.mark.parametrize("write", [write_a_spill, write_a_file_for_a_store, write_the_ids_of_an_audit])
def test_a_temporary_directory_that_is_not_there_is_told_with_its_cure(tmp_path, monkeypatch, write):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))

    with pytest.raises(SynthflowConfigError, match=r"temporary directory .*none cannot be written: .* Set TMPDIR to"):
        write()
