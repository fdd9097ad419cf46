# SPDX-License-Identifier: Apache-2.0
"""The fleet's check over a bucket finds whatever is wrong in it."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from dev.fleet.check import check_bucket, folders_of
from dev.fleet.plan import Plan

PLAN = Plan("2026-11-01T00:00:00+00:00", days=2, agents=2, calls=40)
DAYS = range(2)


def put(bucket, key, data):
    bucket.put_object(Bucket="lake", Key=key, Body=data)


def write(bucket, folder, ids, **said):
    data = gzip.compress(b"".join(json.dumps({"call_id": each}).encode() + b"\n" for each in ids))
    manifest = {
        "path": f"s3://lake/{folder}/calls.jsonl.gz",
        "count": len(ids),
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        **said,
    }
    put(bucket, f"{folder}/calls.jsonl.gz", data)
    put(bucket, f"{folder}/_manifest.json", json.dumps(manifest).encode())


@pytest.fixture
def folders(s3_server):
    """Fill the bucket as it must be, and return the ids by folder."""
    found = folders_of(PLAN, "backfill", PLAN.agent_ids, DAYS)
    for folder, ids in found.items():
        write(s3_server.client, folder, ids)
    return found


def troubles(s3_server):
    return check_bucket(s3_server.client, PLAN, "backfill", PLAN.agent_ids, DAYS).troubles


def test_a_bucket_with_all_calls_is_right(s3_server, folders):
    assert sum(map(len, folders.values())) == PLAN.calls
    assert troubles(s3_server) == []


def test_a_lost_call_is_found(s3_server, folders):
    folder, ids = max(folders.items(), key=lambda item: len(item[1]))
    write(s3_server.client, folder, ids[1:])

    assert troubles(s3_server) == [
        "3 of 4 files hold exactly the calls of their agent and day",
        "39 of 40 calls are there, each once",
    ]


def test_a_call_in_two_windows_is_found(s3_server, folders):
    (folder, ids), (_, others) = list(folders.items())[:2]
    write(s3_server.client, folder, [*ids, others[0]])

    assert "39 of 40 calls are there, each once" in troubles(s3_server)
    assert "1 of 0 calls are there that there are not, or more than once" in troubles(s3_server)


def test_a_part_of_a_file_is_found(s3_server, folders):
    key = f"{next(iter(folders))}/calls.jsonl.gz"
    put(s3_server.client, key, s3_server.read(key)[:-10])

    assert "3 of 4 files are whole" in troubles(s3_server)


@pytest.mark.parametrize("said", [{"count": 1_000}, {"bytes": 1}, {"sha256": "0"}, {"path": "s3://lake/elsewhere"}])
def test_a_manifest_that_is_not_true_is_found(s3_server, folders, said):
    folder, ids = next(iter(folders.items()))
    write(s3_server.client, folder, ids, **said)

    assert troubles(s3_server) == ["3 of 4 manifests are true: path, count, bytes, SHA-256"]


def test_a_missing_manifest_is_found(s3_server, folders):
    s3_server.client.delete_object(Bucket="lake", Key=f"{next(iter(folders))}/_manifest.json")

    assert "7 of 8 files and manifests are there" in troubles(s3_server)


def test_a_temporary_object_is_found(s3_server, folders):
    put(s3_server.client, f"{next(iter(folders))}/.1f.tmp", b"")

    (trouble,) = troubles(s3_server)
    assert trouble.startswith("1 of 0 other objects, temporary ones among them, such as backfill/")


def test_an_unfinished_upload_is_found(s3_server, folders):
    s3_server.client.create_multipart_upload(Bucket="lake", Key=f"{next(iter(folders))}/calls.jsonl.gz")

    (trouble,) = troubles(s3_server)
    assert trouble.startswith("1 of 0 unfinished multipart uploads, such as backfill/")
