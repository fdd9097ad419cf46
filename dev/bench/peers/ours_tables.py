# SPDX-License-Identifier: Apache-2.0
"""The package without its Airflow shells, with all tables beside the calls."""

from __future__ import annotations

from functools import partial

from ours import read
from peer import run

from airflow_provider_synthflow.output.draft import TablesSpec
from airflow_provider_synthflow.tables.parquet_tables import ParquetTables
from airflow_provider_synthflow.tables.table import TABLES

if __name__ == "__main__":
    run(partial(read, tables=TablesSpec(tuple(TABLES), ParquetTables)))
