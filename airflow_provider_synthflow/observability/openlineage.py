# SPDX-License-Identifier: Apache-2.0
"""The lineage of a task: the calls it read and the files it wrote, with rows and bytes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.storage.address import FileAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["make_lineage"]


def make_lineage(results: Iterable[Mapping[str, Any]], host: str, *, what: str = "calls") -> Any:
    """Return the lineage of a task's results."""
    # The input of each agent is ``calls/<model_id>`` (or what else was read) at ``synthflow://<host>``, with the
    # calls read; the output of each window is its file, with rows and bytes. Results that went to XCom have no
    # output.
    try:
        # An extra, which loads Airflow's models of its database: only once OpenLineage asks, and has it loaded.
        extractors = import_module("airflow.providers.openlineage.extractors")
        facets, events = import_module("openlineage.client.facet_v2"), import_module("openlineage.client.event_v2")
    except ImportError:
        return None
    results = list(results)
    rows: dict[str, int] = {}
    for result in results:
        rows[result["model_id"]] = rows.get(result["model_id"], 0) + result["count"]
    counted = getattr(facets, "input_statistics_input_dataset", None)  # older clients know no counts of inputs
    inputs = [
        events.InputDataset(
            namespace=f"synthflow://{host}",
            name=f"{what}/{model_id}",
            inputFacets={"inputStatistics": counted.InputStatisticsInputDatasetFacet(rowCount=count)}
            if counted
            else {},
        )
        for model_id, count in rows.items()
    ]
    outputs = []
    for result in results:
        if "path" not in result:
            continue
        namespace, name = FileAddress.parse(result["path"]).dataset
        statistics = facets.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=result["count"], size=result["bytes"], fileCount=1 if what == "calls" else result["count"]
        )
        facet = {"outputStatistics": statistics}
        outputs.append(events.OutputDataset(namespace=namespace, name=name, outputFacets=facet))
    return extractors.OperatorLineage(inputs=inputs, outputs=outputs)
