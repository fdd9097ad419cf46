# SPDX-License-Identifier: Apache-2.0
"""Airflow's masking of secrets in its logs, from wherever the Airflow that runs has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["hide_number", "mask_secret"]

if TYPE_CHECKING:
    from airflow.sdk.log import mask_secret
else:
    try:
        from airflow.sdk.log import mask_secret
    except ImportError:  # Airflow 2; the compatibility provider for Python 3.10 does not have it
        from airflow.utils.log.secrets_masker import mask_secret


def hide_number(task: Any) -> None:
    """
    Have Airflow mask the telephone number that a template rendered, and not store it among the rendered fields.

    Airflow 3.0 does not mask what it stores there, so that masking alone would leave the number in its database.

    :param task: the worker's own copy of a task with a ``lead_phone_number``
    """
    number = task.lead_phone_number
    if isinstance(number, str) and number.strip():
        mask_secret(number.strip())
        task.template_fields = [name for name in task.template_fields if name != "lead_phone_number"]
