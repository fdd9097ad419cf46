# SPDX-License-Identifier: Apache-2.0
"""Audit a lake from a shell: ``python -m airflow_provider_synthflow.audit PATH``."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_synthflow.client.client import SynthflowClient

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit the lake that the command's words name, and return the exit status."""
    with _own_output() as output:
        from airflow_provider_synthflow.auditing.command import run_command  # noqa: PLC0415 - it loads Airflow

        return run_command(arguments, output, _connect)


@contextlib.contextmanager
def _own_output() -> Iterator[IO[str]]:
    """Hand out standard output; what any library writes there meanwhile goes to standard error."""
    output = sys.stdout
    try:
        own, error = output.fileno(), sys.stderr.fileno()
    except (OSError, ValueError):  # replaced, as in a notebook or a test
        with contextlib.redirect_stdout(sys.stderr):
            yield output
        output.flush()
        return
    output.flush()
    own_output = os.dup(own)
    os.dup2(error, own)
    try:
        with os.fdopen(own_output, "w", encoding="utf-8", closefd=False) as result:
            yield result
    finally:
        output.flush()
        os.dup2(own_output, own)
        os.close(own_output)


@contextlib.contextmanager
def _connect(conn_id: str) -> Iterator[SynthflowClient]:
    from airflow_provider_synthflow.hooks.synthflow import SynthflowHook  # noqa: PLC0415 - only where the API is asked

    with SynthflowHook(conn_id) as hook:
        yield hook.client


if __name__ == "__main__":
    # As Airflow's own commands do, so that connections in its database are found, too.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    sys.exit(main())
