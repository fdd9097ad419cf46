# SPDX-License-Identifier: Apache-2.0
"""Airflow's masking of secrets in its logs, from wherever the Airflow that runs has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["mask_number", "mask_secret"]

if TYPE_CHECKING:
    from airflow.sdk.log import mask_secret
else:
    try:
        from airflow.sdk.log import mask_secret
    except ImportError:  # Airflow 2; the compatibility provider for Python 3.10 does not have it
        from airflow.utils.log.secrets_masker import mask_secret


def mask_number(value: Any) -> None:
    """
    Have Airflow mask a telephone number wherever it shows a rendered field.

    :param value: what a template rendered; what is no text, or an empty one, is passed over
    """
    if isinstance(value, str) and value.strip():
        mask_secret(value.strip())
