# SPDX-License-Identifier: Apache-2.0
"""Check a connection with one request that costs nothing, and tell key, region and network apart."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_synthflow.client.client import SynthflowClient
from airflow_provider_synthflow.client.response import read_elements
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
    """
    Ask for one agent, Synthflow's documented way to verify a key.

    :param settings: where to ask, with which key
    :return: whether it went well, and a sentence without any secret
    """
    try:
        _ask(settings)
    except SynthflowAuthError as error:
        if error.status == 401:
            return False, _key_or_region(settings)
        return False, str(error)
    except SynthflowTransientError as error:
        if error.status is None:
            return False, f"Network: {error} The key and the region could not be checked."
        return False, f"{settings.host} is reached, but has trouble: {error}"
    except SynthflowConfigError as error:
        return False, f"Network: {error}"
    except SynthflowError as error:
        return False, f"Host: what answers at {settings.base_url} is not the Synthflow API. {error}"
    return True, f"Connected to {settings.host}: the API accepts the key."


def _key_or_region(settings: Settings) -> str:
    """Tell a wrong key from a wrong region, by asking Synthflow's other regions where no host of one's own is set."""
    if settings.region is not None:
        silent = []
        for region, base_url in REGIONS.items():
            if region == settings.region:
                continue
            try:
                _ask(replace(settings, base_url=base_url, region=region))
            except SynthflowAuthError as error:
                if error.status == 401:
                    continue
            except SynthflowError:
                silent.append(region)
                continue
            return (
                f"Region: {settings.host} does not accept the key, but region '{region}' does. "
                f"Set the connection's region to '{region}'."
            )
        if silent:
            return (
                f"Key or region: {settings.host} does not accept the key (HTTP 401). The API key is wrong, or it "
                f"belongs to another region; {' and '.join(silent)} could not be asked."
            )
        return (
            f"Key: neither region '{settings.region}' nor another one accepts it (HTTP 401). "
            "Copy the API key again from your Synthflow workspace."
        )
    return (
        f"Key or region: {settings.host} does not accept the key (HTTP 401). The API key is wrong, "
        "or it belongs to a workspace of another region than this host's."
    )


def _ask(settings: Settings) -> None:
    quick = replace(settings, max_attempts=1, timeout=min(settings.timeout, _TIMEOUT))
    with SynthflowClient(quick) as client:
        client.ask("/assistants/", {"limit": "1"}, lambda body: read_elements(body, "assistants"))
