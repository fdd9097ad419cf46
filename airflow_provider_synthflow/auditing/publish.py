# SPDX-License-Identifier: Apache-2.0
"""The report of an audit, written where it is to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_synthflow.auditing.report.page import write_page
from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.storage.address import FileAddress
from airflow_provider_synthflow.storage.open_store import open_store

if TYPE_CHECKING:
    from airflow_provider_synthflow.auditing.lake_audit import AuditOutcome

__all__ = ["DEFAULT_NAME", "publish_report"]

DEFAULT_NAME = "synthflow-audit.html"


def publish_report(outcome: AuditOutcome, path: str, conn_id: str | None = None) -> str:
    """
    Write the report, which appears whole, and return where it is.

    :param path: a file in any store; a directory, with a slash at its end, gets a file of a default name
    :param conn_id: the Airflow connection of the store; a local disk needs none
    :raises SynthflowConfigError: where it cannot be written
    """
    is_local = FileAddress.parse(path).is_local
    directory, slash, name = path.rpartition("/")
    if not slash and is_local:
        directory = "."
    if directory.endswith(":/") or (slash and not directory and not is_local):
        msg = f"report_path {path} names no file. Write a path below a bucket, such as s3://bucket/audit.html."
        raise SynthflowConfigError(msg)
    store = open_store(directory or "/", None if is_local else conn_id, name="report_path")
    name = name or DEFAULT_NAME
    with store.upload(name) as file:
        for part in write_page(outcome):
            file.write(part.encode("utf-8", "replace"))
    return store.location(name)
