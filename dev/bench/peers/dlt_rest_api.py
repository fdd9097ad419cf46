# SPDX-License-Identifier: Apache-2.0
"""
dlt's rest_api source: extract, normalize and load into files on the disk.

Its offset paginator reads one page after the other. Nested values stay JSON, which spares it the child tables.
"""

from __future__ import annotations

import os
from pathlib import Path

from peer import KEY, PAGE, Job, run

os.environ |= {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
    "LOAD__WORKERS": "1",
}


def read(job: Job) -> None:
    """Run a pipeline with the one resource."""
    import dlt  # noqa: PLC0415 - its import counts, as a task's would
    from dlt.destinations import filesystem  # noqa: PLC0415 - likewise
    from dlt.sources.rest_api import rest_api_source  # noqa: PLC0415 - likewise

    if job.format == "jsonl":
        os.environ["NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION"] = "true"
    parameters = job.parameters(0)
    del parameters["limit"], parameters["offset"]
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{job.url}/",
                "auth": {"type": "bearer", "token": KEY},
                "paginator": {
                    "type": "offset",
                    "limit": PAGE,
                    "total_path": "response.pagination.total_records",
                },
            },
            "resources": [
                {
                    "name": "calls",
                    "max_table_nesting": 0,
                    "write_disposition": "append",
                    "endpoint": {"path": "calls", "params": parameters, "data_selector": "response.calls"},
                }
            ],
        }
    )
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=f"{job.out}/pipelines",
        destination=filesystem(bucket_url=Path(job.out, "lake").absolute().as_uri()),
        dataset_name="calls",
    )
    pipeline.run(source, loader_file_format="parquet" if job.format == "parquet" else "jsonl")


if __name__ == "__main__":
    run(read)
