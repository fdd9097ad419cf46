# SPDX-License-Identifier: Apache-2.0
"""
Fork processes that store recordings, to be killed: ``python -m tests.recording_child URL RESULT OUTPUT_PATH S3_URL``.

All imports are done before, so that a process is there in a moment. Each line of the input starts one, which prints its
id, and its result once it has one. A second line waits until it has ended.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_synthflow.storage.base import Store

sys.modules["airflow"] = None  # type: ignore[assignment]  # the core needs none, and starts at once without it

import botocore.session  # noqa: E402
import s3fs  # noqa: E402

from airflow_provider_synthflow.client.client import SynthflowClient  # noqa: E402
from airflow_provider_synthflow.recordings.calls import parse_results  # noqa: E402
from airflow_provider_synthflow.recordings.job import RecordingsJob  # noqa: E402
from airflow_provider_synthflow.recordings.shelf import RecordingShelf  # noqa: E402
from airflow_provider_synthflow.storage.local import LocalStore  # noqa: E402
from airflow_provider_synthflow.storage.object_store import ObjectStore  # noqa: E402
from tests.unit.client.making import make_settings  # noqa: E402

__all__ = ["main"]


def make_store(output_path: str, s3_url: str) -> Store:
    """Open the store of a path: a directory, or a bucket of the S3 at a URL."""
    if not s3_url:
        return LocalStore(output_path)
    region = {"region_name": "us-east-1"}
    fs = s3fs.S3FileSystem(
        key="AKIATESTKEY", secret="test-secret-0123456789", endpoint_url=s3_url, client_kwargs=region
    )
    return ObjectStore(fs, output_path.removeprefix("s3://"), output_path)


def store_recordings(url: str, result: str, store: Store) -> None:
    """Store the recordings of a result."""
    ((found,), _) = parse_results(json.loads(result))
    calls_store = LocalStore(found.output_path) if found.output_path else None
    job = RecordingsJob(found, calls_store, RecordingShelf(store, found), concurrency=4)
    print(os.getpid(), flush=True)
    with SynthflowClient(make_settings(url)) as client:
        told = job.run(client, wait=lambda *_: None)
    print(json.dumps({**told, "peak_memory": read_peak_memory()}), flush=True)


def read_peak_memory() -> int:
    """Return the most bytes that this process ever held."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main(url: str, result: str, output_path: str, s3_url: str = "") -> None:
    """Fork a process a line."""
    botocore.session.get_session().get_service_model("s3")
    print("ready", flush=True)
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            store_recordings(url, result, make_store(output_path, s3_url))
            os._exit(0)
        sys.stdin.readline()
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
