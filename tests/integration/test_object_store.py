# SPDX-License-Identifier: Apache-2.0
"""Files in S3 are whole or not there, after errors at any moment too; the S3 is a real one over HTTP, but moto's."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import signal
import threading
import time
from typing import Any

import pytest

from airflow_provider_synthflow.exceptions import (
    SynthflowConfigError,
    SynthflowOutputConflictError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage import object_store
from airflow_provider_synthflow.storage import s3 as s3_files
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.window import Window
from tests.unit.making import AGENT, FROM_MS, TO_MS

pytest.importorskip("moto")
pytest.importorskip("s3fs")

WINDOW = Window(FROM_MS, TO_MS)
PLACE = f"out/model_id={AGENT}/from_date=20240301T000000Z/to_date=20240302T000000Z"
FILE = f"{PLACE}/calls.jsonl"
MANIFEST = f"{PLACE}/_manifest.json"
CLAIM = f"{PLACE}/.claim"
SMALL = [b'{"call_id":"a"}', b'{"call_id":"b"}']
LARGE = [os.urandom(2_000).hex().encode() for _ in range(12)]  # 48 KB, three parts
NO_RETRIES = {"retries": {"max_attempts": 0}}
RESULT = {"model_id": AGENT, "count": 2, "query": {}}
EXPIRED = [
    (400, "ExpiredToken"),
    (400, "TokenRefreshRequired"),
    (403, "ExpiredTokenException"),
    (403, "RequestExpired"),
    (403, "RequestTimeTooSkewed"),
]


@pytest.fixture
def s3(s3_server, monkeypatch):
    """Give the server, with a connection to it, small parts, and little patience with its errors."""
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1000)
    monkeypatch.setattr(s3_files, "_PART", 20_000)
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", s3_server.connection())
    monkeypatch.setattr(object_store, "_PATIENCE", 0.0)
    return s3_server


def publication(url: str = "s3://lake/out", conn_id: str | None = "lake", format_name: str = "jsonl", **filters: Any):
    return Publication(open_store(url, conn_id), AGENT, WINDOW, format_name, filters)


def lines(records: list[bytes]) -> bytes:
    return b"".join(record + b"\n" for record in records)


def failure(status: int, code: str):
    """Return an answer of S3 that is an error."""
    from werkzeug.wrappers import Response  # noqa: PLC0415 - moto's

    text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>secret-message</Message></Error>'
    return Response(text, status=status, content_type="application/xml")


def is_true(s3) -> bool:
    """Tell whether the manifest that is there is true, or none is there."""
    if MANIFEST not in s3.objects():
        return True
    manifest, data = json.loads(s3.read(MANIFEST)), s3.read(FILE)
    return (manifest["bytes"], manifest["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


class TestPublishing:
    @pytest.mark.parametrize("records", [SMALL, LARGE, []], ids=["small", "multipart", "empty"])
    def test_writes_whole_objects_and_the_manifest_last(self, s3, records):
        told = publication().publish(records, RESULT)

        assert s3.read(FILE) == lines(records)
        assert json.loads(s3.read(MANIFEST)) == told
        assert told["path"] == f"s3://lake/{FILE}"
        assert (told["changed"], told["bytes"]) == (True, len(lines(records)))
        assert s3.uploads() == []
        writes = [each for each in s3.requests if each.startswith(("PUT", "POST"))]
        assert all(MANIFEST not in each for each in writes[:-1])
        assert writes[-1] == f"PUT /lake/{MANIFEST}"
        assert any("partNumber=3" in each for each in writes) is (records is LARGE)

    @pytest.mark.parametrize("told", [b'{"tables": {', None], ids=["a manifest cut off", "no manifest"])
    def test_removes_tables_that_no_manifest_tells_of_before_the_new_one(self, s3, told):
        for name in ("turns.parquet", "own.parquet", *(["_manifest.json"] if told else ())):
            s3.client.put_object(Bucket=s3.bucket, Key=f"{PLACE}/{name}", Body=told or b"")
        s3.requests.clear()

        publication().publish(SMALL, RESULT)

        assert set(s3.objects()) == {FILE, MANIFEST, f"{PLACE}/own.parquet"}
        changes = [each for each in s3.requests if each.startswith(("PUT", "DELETE")) and CLAIM not in each]
        assert changes == [
            *([f"DELETE /lake/{MANIFEST}"] if told else ()),
            f"DELETE /lake/{PLACE}/turns.parquet",
            f"PUT /lake/{FILE}",
            f"PUT /lake/{MANIFEST}",
        ]

    @pytest.mark.parametrize("records", [SMALL, LARGE], ids=["small", "multipart"])
    def test_the_same_again_writes_nothing_and_downloads_no_file(self, s3, records):
        first = publication().publish(records, RESULT)
        s3.requests.clear()

        second = publication().publish(records, RESULT | {"extracted_at": "later"})

        assert second == first | {"changed": False, "extracted_at": "later"}
        assert {each.split()[0] for each in s3.requests} == {"GET", "HEAD"}
        assert f"GET /lake/{FILE}" not in s3.requests
        assert json.loads(s3.read(MANIFEST)) == first

    @pytest.mark.parametrize("same", [True, False])
    def test_reads_an_object_that_others_copied_there(self, s3, same):
        publication().publish(SMALL, RESULT)
        data = lines(SMALL) if same else lines(SMALL).replace(b"a", b"c")
        s3.client.put_object(Bucket="lake", Key=FILE, Body=data)

        told = publication().publish(SMALL, RESULT)

        assert told["changed"] is not same
        assert s3.read(FILE) == lines(SMALL)
        assert is_true(s3)

    def test_takes_the_old_manifest_away_before_the_new_object_comes(self, s3):
        publication().publish(SMALL, RESULT)
        s3.requests.clear()

        publication().publish(SMALL[:1], RESULT)

        order = [each for each in s3.requests if each.split()[0] in ("DELETE", "PUT") and CLAIM not in each]
        assert order == [f"DELETE /lake/{MANIFEST}", f"PUT /lake/{FILE}", f"PUT /lake/{MANIFEST}"]

    def test_sees_what_others_do_at_once(self, s3):
        one = publication()
        assert one.manifest() is None
        s3.client.put_object(Bucket="lake", Key=MANIFEST, Body=b'{"query": {"call_status": "busy"}}')

        with pytest.raises(SynthflowOutputConflictError):
            one.check()
        s3.client.delete_object(Bucket="lake", Key=MANIFEST)
        one.check()
        one.publish(SMALL, RESULT)
        s3.client.delete_object(Bucket="lake", Key=FILE)

        assert one.publish(SMALL, RESULT)["changed"]

    def test_checks_without_making_anything(self, s3):
        publication().check()

        assert s3.objects() == []
        assert s3.uploads() == []

    @pytest.mark.usefixtures("s3")
    @pytest.mark.parametrize(("url", "conn_id"), [("s3://lake@lake/out/", None), ("s3://lake@lake/out", "lake")])
    def test_takes_the_connection_from_the_path_and_leaves_it_out_of_the_result(self, url, conn_id):
        assert publication(url, conn_id).publish(SMALL, RESULT)["path"] == f"s3://lake/{FILE}"

    @pytest.mark.usefixtures("s3")
    @pytest.mark.parametrize("folder", ["a b#c?d%20e", "Grüße", ""])
    def test_names_the_place_that_airflow_s_own_paths_name(self, folder):
        from airflow.providers.common.compat.sdk import ObjectStoragePath  # noqa: PLC0415

        told = publication(f"s3://lake/{folder}").publish(SMALL, RESULT)

        assert ObjectStoragePath(told["path"], conn_id="lake").read_bytes() == lines(SMALL)

    @pytest.mark.usefixtures("s3")
    def test_keeps_the_temporary_file_private_and_without_a_name(self, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with publication()._store.stage("x") as staged:
            staged.write(b"secret")
            staged.flush()
            mode = os.fstat(staged._file.fileno()).st_mode & 0o777
            names = list(tmp_path.iterdir())

        assert (mode, names) == (0o600, [])

    def test_compresses_to_the_same_bytes_again(self, s3):
        one = publication(format_name="jsonl.gz").publish(SMALL, RESULT)

        assert gzip.decompress(s3.read(FILE + ".gz")) == lines(SMALL)
        assert publication(format_name="jsonl.gz").publish(SMALL, RESULT)["sha256"] == one["sha256"]


class TestErrors:
    @pytest.mark.parametrize("records", [SMALL, LARGE], ids=["small", "multipart"])
    @pytest.mark.parametrize("before", [True, False], ids=["old-there", "nothing-there"])
    @pytest.mark.parametrize("at", [0, 1, 2, 3, 4, 5, 6])
    def test_of_the_store_at_any_write_leave_the_old_or_the_new_object(self, s3, records, before, at):
        if before:
            publication().publish([b"old"], RESULT)
        writes = 0

        def fault(request):
            nonlocal writes
            if request.method in ("GET", "HEAD"):
                return None
            writes += 1
            # A store that comes back after the failed write: aborting works.
            return failure(400, "InvalidRequest") if writes == at + 1 else None

        s3.fault = fault
        try:
            publication().publish(records, RESULT)
        except SynthflowConfigError:
            pass
        else:
            # Of parts the store's library sends one again, and a claim that is left is stale.
            assert writes <= at or records is LARGE or CLAIM in s3.objects(), "\n".join(s3.requests)
        s3.fault = None

        assert s3.uploads() == []
        assert {*s3.objects()} <= {FILE, MANIFEST, CLAIM}
        if FILE in s3.objects():
            assert s3.read(FILE) in (b"old\n", lines(records))
        assert is_true(s3)
        assert publication().publish(records, RESULT)["sha256"] == hashlib.sha256(s3.read(FILE)).hexdigest()
        assert s3.read(FILE) == lines(records)
        assert {*s3.objects()} == {FILE, MANIFEST}

    def test_of_a_part_let_the_part_beside_it_end_before_the_upload_is_aborted(self, s3):
        order = []

        def fault(request):
            if "partNumber=1" in request.url:
                return failure(400, "InvalidRequest")
            if "partNumber=2" in request.url:
                time.sleep(0.5)
                order.append("part")
            if request.method == "DELETE" and "uploadId" in request.url:
                order.append("abort")
            return None

        s3.fault = fault
        with pytest.raises(SynthflowConfigError):
            publication().publish(LARGE, RESULT)

        assert order == ["part", "abort"]
        assert s3.uploads() == []

    def test_while_records_come_touch_nothing(self, s3):
        publication().publish([b"old"], RESULT)
        s3.requests.clear()

        def records():
            yield from LARGE
            msg = "broken"
            raise RuntimeError(msg)

        with pytest.raises(RuntimeError, match="broken"):
            publication().publish(records(), RESULT)

        assert s3.requests == []
        assert s3.read(FILE) == b"old\n"

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, TimeoutError])
    def test_that_interrupt_an_upload_end_it(self, s3, error):
        started = threading.Event()

        def fault(request):
            if "partNumber=2" in request.url:
                started.set()
                time.sleep(0.5)

        def interrupt(*_):
            raise error

        s3.fault = fault
        before = signal.signal(signal.SIGUSR1, interrupt)
        thread = threading.Thread(target=lambda: started.wait(20) and os.kill(os.getpid(), signal.SIGUSR1))
        thread.start()
        try:
            with pytest.raises((error, SynthflowTransientError)):
                publication().publish(LARGE, RESULT)
        finally:
            signal.signal(signal.SIGUSR1, before)
            thread.join()
        time.sleep(0.6)  # what is still under way ends

        assert not any("partNumber=3" in each for each in s3.requests)
        assert s3.uploads() == []
        assert s3.objects() == []

    def test_that_pass_within_seconds_are_not_seen(self, s3, monkeypatch):
        monkeypatch.setattr(object_store, "_PATIENCE", 20.0)
        monkeypatch.setenv("AIRFLOW_CONN_QUICK", s3.connection(config_kwargs=NO_RETRIES))
        until = time.monotonic() + 1

        def fault(request):
            return failure(503, "ServiceUnavailable") if time.monotonic() < until else None

        s3.fault = fault
        publication(conn_id="quick").publish(SMALL, RESULT)

        assert time.monotonic() > until
        assert s3.read(FILE) == lines(SMALL)

    @pytest.mark.parametrize(("status", "code"), [(503, "ServiceUnavailable"), (500, "InternalError"), (503, "Odd")])
    def test_that_stay_are_transient_and_bounded(self, s3, monkeypatch, status, code):
        monkeypatch.setenv("AIRFLOW_CONN_QUICK", s3.connection(config_kwargs=NO_RETRIES))
        s3.fault = lambda _: failure(status, code)
        start = time.monotonic()

        with pytest.raises(SynthflowTransientError, match=f"{status}, {code}") as caught:
            publication(conn_id="quick").check()

        assert not isinstance(caught.value, SynthflowConfigError)
        assert caught.value.status == status
        assert "secret-message" not in str(caught.value)
        assert time.monotonic() - start < 15

    @pytest.mark.parametrize(
        ("status", "code"), [EXPIRED[0], *(pytest.param(*each, marks=pytest.mark.long) for each in EXPIRED[1:])]
    )
    def test_of_a_token_that_has_expired_are_passed_over_at_each_request(self, s3, monkeypatch, status, code):
        monkeypatch.setattr(object_store, "_PATIENCE", 20.0)
        monkeypatch.setattr(object_store, "_LONGEST_PAUSE", 0.01)
        count = self.count_requests(s3)
        assert count > 4

        for at in range(count):
            s3.reset()
            came: list[str] = []

            def fault(request, at=at, came=came):
                came.append(request.url)
                return failure(status, code) if len(came) == at + 1 else None

            s3.fault = fault
            publication().publish(SMALL, RESULT)
            s3.fault = None

            assert len(came) > at
            assert s3.read(FILE) == lines(SMALL)
            assert is_true(s3)
            assert {*s3.objects()} == {FILE, MANIFEST}

    @pytest.mark.parametrize(("status", "code"), EXPIRED)
    def test_of_a_token_that_stays_expired_are_transient_so_that_a_retry_comes_with_a_new_one(self, s3, status, code):
        store = open_store("s3://lake/out", "lake")
        s3.fault = lambda _: failure(status, code)

        for action in (
            store.check_writable,
            lambda: store.read("a/b"),
            lambda: store.holds("a/b", 1, "0"),
            lambda: list(store.list_files()),
            lambda: store.open("a/b"),
            lambda: store.put_private("a/b", b"x"),
            lambda: store.remove("a/b"),
            lambda: store.has_leftovers("a"),
            lambda: store.sweep("a"),
        ):
            with pytest.raises(SynthflowTransientError, match="says that the credentials have expired"):
                action()

    @staticmethod
    def count_requests(s3) -> int:
        s3.requests.clear()
        publication().publish(SMALL, RESULT)
        return len(s3.requests)

    def test_of_the_network_are_transient(self, s3, monkeypatch):
        monkeypatch.setenv(
            "AIRFLOW_CONN_NOWHERE", s3.connection(endpoint_url="http://127.0.0.1:9", config_kwargs=NO_RETRIES)
        )

        with pytest.raises(SynthflowTransientError, match="s3://lake/out"):
            publication(conn_id="nowhere").check()


class TestWrongSettings:
    def test_of_a_connection_that_is_not_there_are_told_without_a_request(self, s3):
        for url, conn_id in (("s3://lake/out", "nix"), ("s3://nix@lake/out", None)):
            with pytest.raises(SynthflowConfigError, match="'nix' of output_path s3://lake/out does not exist"):
                publication(url, conn_id)

        assert s3.requests == []

    @pytest.mark.usefixtures("s3")
    def test_of_two_connections_are_told(self):
        with pytest.raises(SynthflowConfigError, match="'lake', and output_conn_id 'other' is given"):
            publication("s3://lake@lake/out", "other")

    @pytest.mark.usefixtures("s3")
    def test_name_the_parameter_that_holds_the_path(self):
        store = open_store("s3://no-such-bucket/pages", "lake", name="resume_path")

        with pytest.raises(SynthflowConfigError, match="of resume_path s3://no-such-bucket/pages does not exist"):
            store.put_private("pages/1", b"x")

    @pytest.mark.usefixtures("s3")
    def test_of_the_bucket_are_told(self):
        with pytest.raises(SynthflowConfigError, match="bucket or container of output_path s3://other/out does not"):
            publication("s3://other/out").check()

    @pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
    def test_of_the_credentials_are_told_without_any_of_them(self, s3, code):
        s3.fault = lambda _: failure(403, code)

        with pytest.raises(SynthflowConfigError, match="denies this task access") as caught:
            publication().check()

        assert "test-secret" not in str(caught.value)
        assert "AKIA" not in str(caught.value)
        assert "secret-message" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_that_let_read_and_not_write_are_told_before(self, s3):
        s3.fault = lambda request: failure(403, "AccessDenied") if request.method == "POST" else None

        with pytest.raises(SynthflowConfigError, match="denies this task access"):
            publication().check()

    def test_that_do_not_let_list_uploads_do_no_harm(self, s3):
        s3.fault = lambda request: failure(403, "AccessDenied") if "uploads&prefix" in request.url else None

        publication().check()
        publication().publish(SMALL, RESULT)

        assert s3.read(FILE) == lines(SMALL)

    def test_without_any_credentials_are_told(self, s3, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_BARE", json.dumps({"conn_type": "aws", "extra": {"endpoint_url": s3.url}}))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        s3.fault = lambda request: None if request.headers.get("Authorization") else failure(403, "AccessDenied")

        with pytest.raises(SynthflowConfigError, match="denies this task access"):
            publication(conn_id="bare").check()

    @pytest.mark.usefixtures("s3")
    @pytest.mark.parametrize("bucket", ["UPPER", "a", "-x-"])
    def test_of_the_bucket_s_name_are_told(self, bucket):
        with pytest.raises(SynthflowConfigError):
            publication(f"s3://{bucket}/out").check()

    def test_write_no_secret_into_a_log(self, s3, caplog):
        caplog.set_level(logging.DEBUG)
        publication().publish(SMALL, RESULT)
        s3.fault = lambda _: failure(403, "AccessDenied")
        with pytest.raises(SynthflowConfigError):
            publication().check()

        ours = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider")]
        assert not any("test-secret" in text for text in ours)


class TestSweeping:
    def begin(self, s3, key: str) -> str:
        upload = s3.client.create_multipart_upload(Bucket="lake", Key=key)["UploadId"]
        s3.client.upload_part(Bucket="lake", Key=key, UploadId=upload, PartNumber=1, Body=b"half")
        return upload

    def test_aborts_what_a_killed_try_of_this_window_left_and_nothing_else(self, s3):
        for key in (FILE, MANIFEST, f"{PLACE}-other/calls.jsonl", "out/other"):
            self.begin(s3, key)

        publication().publish(SMALL, RESULT)

        assert {key for key, _ in s3.uploads()} == {"out/other", f"{PLACE}-other/calls.jsonl"}

    def test_comes_before_an_unchanged_file_too(self, s3):
        publication().publish(SMALL, RESULT)
        self.begin(s3, FILE)

        assert publication().publish(SMALL, RESULT)["changed"] is False
        assert s3.uploads() == []

    def test_aborts_what_a_task_left_that_was_killed_while_it_tried_whether_it_may_write(self, s3, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_QUICK", s3.connection(config_kwargs=NO_RETRIES))
        s3.fault = lambda request: failure(503, "SlowDown") if request.method == "DELETE" else None
        with pytest.raises(SynthflowTransientError):
            publication(conn_id="quick").check()
        s3.fault = None
        assert s3.uploads()

        publication().check()

        assert s3.uploads() == []

    def test_of_another_try_lets_an_upload_begin_again(self, s3):
        swept = []

        def fault(request):
            if "partNumber=3" in request.url and not swept:
                swept.append(1)
                s3.client.abort_multipart_upload(Bucket="lake", Key=FILE, UploadId=request.args["uploadId"])

        s3.fault = fault

        assert publication().publish(LARGE, RESULT)["changed"]
        assert s3.read(FILE) == lines(LARGE)
        assert s3.uploads() == []

    def test_again_and_again_is_a_transient_error(self, s3):
        def fault(request):
            if request.method == "PUT" and "partNumber" in request.url:
                return failure(404, "NoSuchUpload")
            return None

        s3.fault = fault

        with pytest.raises(SynthflowTransientError, match="cut off 4 times"):
            publication().publish(LARGE, RESULT)
        s3.fault = None
        assert s3.objects() == []
        assert s3.uploads() == []
