# SPDX-License-Identifier: Apache-2.0
"""In any file system of fsspec's, a file comes under a hidden name and gets its own by a move."""

from __future__ import annotations

import hashlib
import os
import time

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowTransientError
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage import object_store
from airflow_provider_synthflow.storage.errors import typed
from airflow_provider_synthflow.storage.object_store import ObjectStore
from airflow_provider_synthflow.window import Window
from tests.unit.making import AGENT, FROM_MS, TO_MS

PLACE = f"model_id={AGENT}/from_date=20240301T000000Z/to_date=20240302T000000Z"
RESULT = {"query": {}}


@pytest.fixture(params=["memory", "local"])
def place(request, tmp_path, monkeypatch):
    """Give a file system and a directory in it."""
    monkeypatch.setattr(object_store, "_PATIENCE", 0.0)
    if request.param == "local":
        return LocalFileSystem(), str(tmp_path)
    fs = MemoryFileSystem()
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    return fs, "/lake/out"


def publication(place) -> Publication:
    fs, root = place
    return Publication(ObjectStore(fs, root, "any://lake/out"), AGENT, Window(FROM_MS, TO_MS), "jsonl", {})


def names(place) -> set[str]:
    fs, root = place
    return {path.rpartition("/")[2] for path in fs.find(root)}


def test_publishes_replaces_and_leaves_the_unchanged(place):
    fs, root = place
    publication(place).check()
    for data, changed in ((b"a", True), (b"b", True), (b"b", False), (b"longer", True)):
        told = publication(place).publish([data], RESULT)

        assert told["changed"] is changed
        assert fs.cat_file(f"{root}/{PLACE}/calls.jsonl") == data + b"\n"
        assert told["sha256"] == hashlib.sha256(data + b"\n").hexdigest()
        assert told["path"] == f"any://lake/out/{PLACE}/calls.jsonl"
        assert names(place) == {"calls.jsonl", "_manifest.json"}


def test_an_upload_that_fails_leaves_what_was_there(place, monkeypatch):
    fs, root = place
    publication(place).publish([b"old"], RESULT)

    def broken(self, local, path, **_):
        self.pipe_file(path, b"half")
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(type(fs), "put_file", broken)
        with pytest.raises(SynthflowTransientError, match="any://lake/out failed"):
            publication(place).publish([b"new"], RESULT)

    assert fs.cat_file(f"{root}/{PLACE}/calls.jsonl") == b"old\n"
    assert names(place) == {"calls.jsonl"}  # the manifest was taken away, and comes with the next run
    publication(place).publish([b"new"], RESULT)
    assert names(place) == {"calls.jsonl", "_manifest.json"}


@pytest.mark.parametrize(("age", "left"), [(3600, True), (2 * 24 * 3600, False)])
def test_what_a_killed_process_left_is_swept_when_it_is_old(tmp_path, age, left):
    folder = tmp_path / PLACE
    folder.mkdir(parents=True)
    for name in (".0123456789abcdef.tmp", "notes.tmp", ".hidden"):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age,) * 2)

    publication((LocalFileSystem(), str(tmp_path))).publish([b"x"], RESULT)

    swept = {".0123456789abcdef.tmp"} if not left else set()
    assert {path.name for path in folder.iterdir()} == {
        ".0123456789abcdef.tmp", "notes.tmp", ".hidden", "calls.jsonl", "_manifest.json",
    } - swept  # fmt: skip


class TokenError(Exception):
    """Stands for an error of Azure's or Google's about credentials."""

    def __init__(self, words: str, **fields: object) -> None:
        super().__init__(words)
        self.__dict__.update(fields)


@pytest.mark.parametrize(
    "error",
    [
        TokenError("secret", status_code=401, error_code="ExpiredAuthenticationToken"),
        TokenError("secret", status_code=401, error_code="InvalidAuthenticationInfo"),
        TokenError(
            "Signature not valid in the specified time frame", status_code=403, error_code="AuthenticationFailed"
        ),
        TokenError("Request date header too old", status_code=403, error_code="AuthenticationFailed"),
        type("RefreshError", (TokenError,), {})("Token must be in a reasonable timeframe"),
        type("RefreshError", (TokenError,), {})("secret", retryable=True),
        type("HttpError", (TokenError,), {"__module__": "gcsfs.retry"})("Invalid Credentials, 401", code=401),
    ],
    ids=repr,
)
def test_an_expired_token_and_a_skewed_clock_pass(error):
    with pytest.raises(SynthflowTransientError, match="expired, or a clock is wrong") as caught, typed("any://lake"):
        raise error

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        TokenError("The MAC signature is not the same", status_code=403, error_code="AuthenticationFailed"),
        TokenError("no right", status_code=403, error_code="AuthorizationPermissionMismatch"),
        type("RefreshError", (TokenError,), {})("invalid_grant: account not found", retryable=False),
        type("HttpError", (TokenError,), {"__module__": "gcsfs.retry"})("Forbidden", code=403),
    ],
    ids=repr,
)
def test_wrong_credentials_do_not_pass(error):
    with pytest.raises(SynthflowConfigError, match="denies this task access"), typed("any://lake"):
        raise error


class RefusedError(Exception):
    """Stands for an error of Azure's or Google's, whose status is a field."""

    def __init__(self, status: object) -> None:
        super().__init__("secret words")
        self.status_code = status


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PermissionError("secret words"), SynthflowConfigError),
        (FileNotFoundError("secret words"), SynthflowConfigError),
        (ValueError("secret words"), SynthflowConfigError),
        (OSError(5, "secret words"), SynthflowTransientError),
        (TimeoutError("secret words"), SynthflowTransientError),
        *[(RefusedError(status), SynthflowConfigError) for status in (301, 400, "401", 403, 404)],
        *[(RefusedError(status), SynthflowTransientError) for status in (None, 408, 409, 412, 429, 500, "503")],
    ],
    ids=repr,
)
def test_an_error_of_a_store_is_typed_and_says_none_of_its_words(error, kind):
    with pytest.raises((SynthflowConfigError, SynthflowTransientError)) as caught, typed("any://lake"):
        raise error

    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "any://lake" in str(caught.value)


def test_a_disk_of_this_machine_that_is_full_is_told_as_such():
    with pytest.raises(SynthflowTransientError, match="any://lake cannot be written: its disk"), typed("any://lake"):
        raise OSError(28, "No space left on device")


def test_a_file_that_cannot_be_looked_at_is_not_taken_for_one_that_is_not_there(place, monkeypatch):
    fs, root = place
    store = ObjectStore(fs, root, "any://lake/out")
    store.put_private("a/b", b"x")
    assert store.open("a/none") is None
    assert store.open("a") is None

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "secret words")

    monkeypatch.setattr(fs, "info", fail)

    for action in (lambda: store.open("a/b"), lambda: store.holds("a/b", 1, "0"), store.check_writable):
        with pytest.raises(SynthflowTransientError, match="failed, and its own retries did not help"):
            action()


@pytest.mark.parametrize("error", [AttributeError("bug"), KeyError("bug")])
def test_an_error_of_this_program_stays_what_it_is(error):
    with pytest.raises(type(error)) as caught, typed("any://lake"):
        raise error

    assert caught.value is error


def test_private_files_are_there_whole_and_go_with_their_directory(place):
    fs, root = place
    store = ObjectStore(fs, root, "any://lake/out")
    for number in (1, 2):
        store.put_private(f"run/{number}.pages", b"%d" % number)
    store.put_private("other/1.pages", b"theirs")

    assert store.read("run/2.pages") == b"2"
    store.remove_all("run")
    store.remove_all("run")  # nothing is there any more

    assert names(place) == {"1.pages"}
    assert store.read("run/1.pages") is None
    assert store.read("other/1.pages") == b"theirs"
