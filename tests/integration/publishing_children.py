# SPDX-License-Identifier: Apache-2.0
"""
Fork processes that publish one window again and again, to a directory or to the S3 at a URL, until they are killed.

All imports are done before, so that a process is there in a moment. Each line of the input, a number, starts one that
counts its turns from there; its id is printed once it has published. A second line waits until it is dead.
"""

from __future__ import annotations

import itertools
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_synthflow.storage.base import Store

sys.modules["airflow"] = None  # type: ignore[assignment]  # the core needs none, and starts at once without it

import botocore.session  # noqa: E402
import s3fs  # noqa: E402

from airflow_provider_synthflow.output.draft import TablesSpec  # noqa: E402
from airflow_provider_synthflow.output.publication import Publication  # noqa: E402
from airflow_provider_synthflow.storage import s3  # noqa: E402
from airflow_provider_synthflow.storage.local import LocalStore  # noqa: E402
from airflow_provider_synthflow.storage.object_store import ObjectStore  # noqa: E402
from airflow_provider_synthflow.tables.parquet_tables import ParquetTables  # noqa: E402
from airflow_provider_synthflow.tables.table import TABLES  # noqa: E402
from airflow_provider_synthflow.window import Window  # noqa: E402

PART = 20_000
WINDOW = Window(1_709_251_200_000, 1_709_337_600_000)


def records_of(turn: int) -> list[bytes]:
    """Return the records of a turn: some make one part, some several."""
    return [
        b'{"call_id":"%d","turn":%d,"transcript":"bot: %d%s"}' % (n, turn, turn, b"x" * 200)
        for n in range(50 + turn * 137 % 400)
    ]


def make_store(where: str) -> tuple[Store, str]:
    """Open a store, and name the format that is written there."""
    if "://" not in where:
        return LocalStore(where), "jsonl.gz"
    s3._PART = PART
    region = {"region_name": "us-east-1"}
    fs = s3fs.S3FileSystem(key="AKIATESTKEY", secret="test-secret-0123456789", endpoint_url=where, client_kwargs=region)
    return ObjectStore(fs, "lake/out", "s3://lake/out"), "jsonl"


def publish_for_ever(where: str, turn: int) -> None:
    """Publish one turn after another."""
    store, format_name = make_store(where)
    for number in itertools.count(turn):
        tables = TablesSpec(tuple(TABLES)[: 1 + number % len(TABLES)], ParquetTables)
        one = Publication(store, "agent-1", WINDOW, format_name, {}, tables=tables)
        one.publish(records_of(number), {"model_id": "agent-1", "query": {}, "turn": number})
        if number == turn:
            print(os.getpid(), flush=True)


def main() -> None:
    """Fork a process a line."""
    botocore.session.get_session().get_service_model("s3")
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            publish_for_ever(sys.argv[1], int(line))
        sys.stdin.readline()
        os.waitpid(child, 0)
        print("dead", flush=True)


if __name__ == "__main__":
    main()
