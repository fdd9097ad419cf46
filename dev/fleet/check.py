# SPDX-License-Identifier: Apache-2.0
"""Compare what lies in the bucket with all the calls that there are."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.output.publication import MANIFEST_NAME, file_name, window_directory
from airflow_provider_synthflow.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dev.fleet.plan import Plan

__all__ = ["Verdict", "check_bucket", "folders_of", "objects_of", "open_bucket", "remove_objects"]

_BUCKET = "lake"
_NAMED = 3


@dataclass
class Verdict:
    """
    Tell what a check found.

    :param lines: what was compared, for the report
    :param troubles: what is wrong; nothing where all is right
    """

    lines: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def hold(self, text: str, found: int, wanted: int) -> None:
        """Note a number that must be another."""
        self.lines.append(f"{found:>7,} of {wanted:>7,}  {text}")
        if found != wanted:
            self.troubles.append(f"{found:,} of {wanted:,} {text}")

    def hold_none(self, text: str, found: Iterable[str]) -> None:
        """Note names of which there must be none."""
        names = sorted(found)
        self.lines.append(f"{len(names):>7,} of {0:>7,}  {text}")
        if names:
            self.troubles.append(f"{len(names):,} of 0 {text}, such as {', '.join(names[:_NAMED])}")


def open_bucket(connection: str) -> Any:
    """
    Return a client of the S3 API.

    :param connection: the Airflow connection, as JSON
    """
    import boto3  # noqa: PLC0415 - slow to load

    fields = json.loads(connection)
    return boto3.client(
        "s3",
        endpoint_url=fields["extra"]["endpoint_url"],
        region_name=fields["extra"]["region_name"],
        aws_access_key_id=fields["login"],
        aws_secret_access_key=fields["password"],
    )


def check_bucket(bucket: Any, plan: Plan, prefix: str, agents: Iterable[str], days: Iterable[int]) -> Verdict:
    """
    Check that the files below a prefix hold every call of the agents and days once, and that nothing else is there.

    :param bucket: the client of the S3 API
    :param plan: the days and the calls
    :param prefix: the output path below the bucket
    :param agents: the ids of the agents
    :param days: the numbers of the days
    """
    verdict = Verdict()
    wanted = folders_of(plan, prefix, agents, days)
    there = objects_of(bucket, prefix)
    names = {f"{folder}/{name}" for folder in wanted for name in (file_name("jsonl.gz"), MANIFEST_NAME)}
    verdict.hold("files and manifests are there", len(names & there.keys()), len(names))
    verdict.hold_none("other objects, temporary ones among them", there.keys() - names)
    uploads = bucket.list_multipart_uploads(Bucket=_BUCKET, Prefix=prefix).get("Uploads", ())
    verdict.hold_none("unfinished multipart uploads", [each["Key"] for each in uploads])
    found: Counter[str] = Counter()
    whole = true = placed = 0
    for folder, calls in wanted.items():
        data, manifest = there.get(f"{folder}/{file_name('jsonl.gz')}", b""), there.get(f"{folder}/{MANIFEST_NAME}")
        ids = _ids(data)
        whole += ids is not None
        found.update(ids or ())
        placed += sorted(ids or ()) == sorted(calls)
        true += _is_true(manifest, folder, data, len(ids or ()))
    truth = Counter(call for calls in wanted.values() for call in calls)
    verdict.hold("files are whole", whole, len(wanted))
    verdict.hold("files hold exactly the calls of their agent and day", placed, len(wanted))
    verdict.hold("manifests are true: path, count, bytes, SHA-256", true, len(wanted))
    verdict.hold("calls are there, each once", sum(found[call] == 1 for call in truth), len(truth))
    verdict.hold("calls are there that there are not, or more than once", sum((found - truth).values()), 0)
    return verdict


def folders_of(plan: Plan, prefix: str, agents: Iterable[str], days: Iterable[int]) -> dict[str, list[str]]:
    """
    Return the ids of the calls by the folder that they belong to.

    :param plan: the days and the calls
    :param prefix: the output path below the bucket
    :param agents: the ids of the agents
    :param days: the numbers of the days
    """
    wanted: dict[tuple[str, int], list[str]] = {(agent, day): [] for day in days for agent in agents}
    start_ms, day_ms = int(plan.start.timestamp() * 1000), 86_400_000
    for call in plan.made_calls:
        calls = wanted.get((call.model_id, (call.start_ms - start_ms) // day_ms))
        if calls is not None:
            calls.append(call.call_id)
    return {
        f"{prefix}/{window_directory(agent, Window(start_ms + day * day_ms, start_ms + (day + 1) * day_ms))}": calls
        for (agent, day), calls in wanted.items()
    }


def objects_of(bucket: Any, prefix: str) -> dict[str, bytes]:
    """
    Return the objects below a prefix by their keys.

    :param bucket: the client of the S3 API
    :param prefix: the prefix
    """
    pages = bucket.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET, Prefix=f"{prefix}/")
    keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
    return {key: bucket.get_object(Bucket=_BUCKET, Key=key)["Body"].read() for key in keys}


def remove_objects(bucket: Any, keys: Iterable[str]) -> None:
    """
    Remove objects.

    :param bucket: the client of the S3 API
    :param keys: their keys
    """
    for key in keys:
        bucket.delete_object(Bucket=_BUCKET, Key=key)


def _ids(data: bytes) -> list[str] | None:
    """Return the ids in a file, or None where it is not whole."""
    try:
        return [json.loads(line)["call_id"] for line in gzip.decompress(data).splitlines()]
    except (OSError, EOFError, ValueError, KeyError):
        return None


def _is_true(manifest: bytes | None, folder: str, data: bytes, count: int) -> bool:
    """Tell whether a manifest says of its file what is so."""
    try:
        said: Mapping[str, Any] = json.loads(manifest or b"")
    except ValueError:
        return False
    return (said.get("path"), said.get("count"), said.get("bytes"), said.get("sha256")) == (
        f"s3://{_BUCKET}/{folder}/{file_name('jsonl.gz')}",
        count,
        len(data),
        hashlib.sha256(data).hexdigest(),
    )
