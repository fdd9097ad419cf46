# SPDX-License-Identifier: Apache-2.0
"""Airflow's masking of secrets in its logs, from wherever the Airflow that runs has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["HiddenNumber", "mask_secret"]

if TYPE_CHECKING:
    from airflow.sdk.log import mask_secret
else:
    try:
        from airflow.sdk.log import mask_secret
    except ImportError:  # Airflow 2; the compatibility provider for Python 3.10 does not have it
        from airflow.utils.log.secrets_masker import mask_secret


class HiddenNumber:
    """
    Be a task's field with a telephone number, which Airflow masks in logs and does not store among the rendered fields.

    Airflow 3.0 does not mask what it stores there, so that masking alone would leave the number in its database. And a
    field it is, since what renders the templates of a mapped task sets the fields and calls nothing of the task.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        """Take in the field's name."""
        self._name = name

    def __get__(self, task: Any, owner: type | None = None) -> Any:
        """Return the number, or its template."""
        return self if task is None else task.__dict__.get(self._name)

    def __set__(self, task: Any, value: Any) -> None:
        """Set the number, or its template, and hide what is no template any more."""
        task.__dict__[self._name] = value
        if isinstance(value, str) and value.strip() and "{" not in value:
            mask_secret(value.strip())
            task.template_fields = [name for name in task.template_fields if name != self._name]
