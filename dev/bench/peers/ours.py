# SPDX-License-Identifier: Apache-2.0
"""The package without its Airflow shells: extraction, verification, ordering, publishing, as the operator does them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peer import KEY, Job, run

from airflow_provider_synthflow.client.client import SynthflowClient
from airflow_provider_synthflow.client.settings import Settings
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.window_job import WindowJob
from airflow_provider_synthflow.hooks.query import read_query
from airflow_provider_synthflow.output.formats import FORMATS
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.window import Window

if TYPE_CHECKING:
    from airflow_provider_synthflow.output.draft import TablesSpec


def read(job: Job, tables: TablesSpec | None = None) -> dict[str, Any]:
    """Extract one window and publish it, with tables beside it or without."""
    if job.format not in FORMATS:
        return {"unavailable": True}
    query = read_query(job.model_id)
    plan = WindowPlan(Window(job.from_ms, job.to_ms), query, settle_ms=0, concurrency=job.concurrency)
    publication = Publication(
        open_store(job.out), job.model_id, plan.window, job.format, query.filters(), tables=tables
    )
    with SynthflowClient(Settings(job.url, KEY)) as client:
        result = WindowJob(plan, publication).carry_out(client).value
    return {name: result[name] for name in ("count", "requests", "walks", "bytes", "sha256")}


if __name__ == "__main__":
    run(read)
