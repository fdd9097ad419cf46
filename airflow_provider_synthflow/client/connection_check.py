# SPDX-License-Identifier: Apache-2.0
"""Check a connection with one request that costs nothing, and tell key, region and network apart."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from airflow_provider_synthflow.client.client import SynthflowClient
from airflow_provider_synthflow.client.settings import REGIONS, Settings
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowError,
    SynthflowTransientError,
)

__all__ = ["check_connection"]

_TIMEOUT = 10.0


def check_connection(settings: Settings) -> tuple[bool, str]:
    """Ask for one agent, Synthflow's documented way to verify a key."""
    try:
        _ask(settings)
    except SynthflowAuthError as error:
        return False, _judge_key(settings) if error.status == 401 else str(error)
    except SynthflowTransientError as error:
        if error.status is None:
            return False, f"Network: {error} The key and the region could not be checked."
        return False, f"{settings.host} answers, but with an error: {error}"
    except SynthflowConfigError as error:
        return False, f"Network: {error}"
    except SynthflowError as error:
        return False, f"Host: what answers at {settings.base_url} is not the Synthflow API. {error}"
    return True, f"Connected to {settings.host}: the API accepts the key."


def _judge_key(settings: Settings) -> str:
    """Find out whether the key or the region is wrong, by asking Synthflow's other hosts."""
    refused = f"{settings.host} does not accept the key (HTTP 401)"
    here = _endpoint(settings.base_url)
    others = {region: base_url for region, base_url in REGIONS.items() if _endpoint(base_url) != here}
    if len(others) == len(REGIONS):
        return (
            f"Key or region: {refused}. The API key is wrong, or it belongs to a workspace of another region than "
            "this host's."
        )
    silent = []
    for region, base_url in others.items():
        try:
            _ask(replace(settings, base_url=base_url, region=region))
        except SynthflowAuthError as error:
            if error.status == 401:
                continue
        except SynthflowError:
            silent.append(region)
            continue
        cure = f"Set the connection's region to '{region}'"
        cure += "." if settings.region else " and leave its host empty."
        return f"Region: {refused}, but region '{region}' does. {cure}"
    if silent:
        return (
            f"Key or region: {refused}. The API key is wrong, or it belongs to another region; "
            f"{' and '.join(silent)} could not be asked."
        )
    return f"Key: {refused}, and no other region does. Copy the API key again from your Synthflow workspace."


def _ask(settings: Settings) -> None:
    quick = replace(settings, max_attempts=1, timeout=min(settings.timeout, _TIMEOUT), conn_id="")
    with SynthflowClient(quick) as client:
        client.elements("/assistants/", "assistants", {"limit": "1"})


def _endpoint(base_url: str) -> tuple[str | None, int | None]:
    """Return a host and its port, None for a usual one, so that the same host is known however it is written."""
    parts = urlsplit(base_url)
    return parts.hostname, None if parts.port in {80, 443} else parts.port
