# SPDX-License-Identifier: Apache-2.0
"""
Airflow's HttpOperator with its pagination, by its execute(); its response_filter writes the calls as JSON lines.

It keeps all answers in memory and reads one page after the other, each over a connection of its own: that is its way.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk.execution_time import supervisor  # noqa: F401 - a task's process has it
from peer import KEY, PAGE, Job, run


def read(job: Job) -> None:
    """Run the operator once."""

    def next_page(response: Any) -> dict[str, Any] | None:
        page = response.json()["response"]["pagination"]
        following = page["offset"] + PAGE
        return {"data": {"offset": str(following)}} if following < page["total_records"] else None

    def write(responses: list[Any]) -> int:
        count = 0
        with job.file.open("w", encoding="utf-8") as file:
            for response in responses:
                for call in response.json()["response"]["calls"]:
                    file.write(json.dumps(call, ensure_ascii=False) + "\n")
                    count += 1
        return count

    HttpOperator(
        task_id="calls",
        http_conn_id="bench",
        method="GET",
        endpoint=f"{urlsplit(job.url).path}/calls",
        data=job.parameters(0),
        headers={"Authorization": f"Bearer {KEY}"},
        pagination_function=next_page,
        response_filter=write,
    ).execute({})


if __name__ == "__main__":
    run(read)
