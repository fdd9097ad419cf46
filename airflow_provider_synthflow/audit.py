# SPDX-License-Identifier: Apache-2.0
"""Audit a lake from a shell: ``python -m airflow_provider_synthflow.audit PATH``."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_synthflow.auditing.own_output import own_output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_synthflow.client.client import SynthflowClient

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit the lake that the command's words name, and return the exit status."""
    with own_output() as output:
        from airflow_provider_synthflow.auditing.command import run_command  # noqa: PLC0415 - it loads Airflow

        return run_command(arguments, output, _connect)


@contextmanager
def _connect(conn_id: str) -> Iterator[SynthflowClient]:
    from airflow_provider_synthflow.hooks.synthflow import SynthflowHook  # noqa: PLC0415 - only where the API is asked

    with SynthflowHook(conn_id) as hook:
        yield hook.client


if __name__ == "__main__":
    # As Airflow's own commands do, so that connections in its database are found, too.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    sys.exit(main())
