# SPDX-License-Identifier: Apache-2.0
"""A process that stores recordings, to be killed: ``python -m tests.recording_child URL RESULT OUTPUT_PATH``."""

from __future__ import annotations

import json
import os
import sys

__all__ = ["main"]


def main(url: str, result: str, output_path: str) -> None:
    """Store the recordings of a result."""
    from airflow_provider_synthflow.client.client import SynthflowClient  # noqa: PLC0415 - timed from here
    from airflow_provider_synthflow.recordings.calls import parse_results  # noqa: PLC0415 - likewise
    from airflow_provider_synthflow.recordings.job import RecordingsJob  # noqa: PLC0415 - likewise
    from airflow_provider_synthflow.recordings.shelf import RecordingShelf  # noqa: PLC0415 - likewise
    from airflow_provider_synthflow.storage.open_store import open_store  # noqa: PLC0415 - likewise
    from tests.unit.client.making import make_settings  # noqa: PLC0415 - likewise

    ((found,), _) = parse_results(json.loads(result))
    store = open_store(output_path, os.environ.get("OUTPUT_CONN_ID"))
    job = RecordingsJob(found, None, RecordingShelf(store, found), concurrency=4)
    print("begun", flush=True)
    with SynthflowClient(make_settings(url)) as client:
        print(json.dumps(job.run(client, wait=lambda *_: None)))


if __name__ == "__main__":
    main(*sys.argv[1:])
