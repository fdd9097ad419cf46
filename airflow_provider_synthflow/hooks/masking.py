# SPDX-License-Identifier: Apache-2.0
"""Airflow's masking of secrets in its logs, from wherever the Airflow that runs has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.parameters import has_template, is_nothing

__all__ = ["HiddenNumber", "mask_secret"]

if TYPE_CHECKING:
    from airflow.sdk.log import mask_secret
else:
    try:
        from airflow.sdk.log import mask_secret
    except ImportError:  # Airflow 2; the compatibility provider for Python 3.10 does not have it
        from airflow.utils.log.secrets_masker import mask_secret


class HiddenNumber:
    """A telephone number in a task's field: masked in logs, and not stored among the rendered fields."""

    # Airflow 3.0 does not mask rendered fields, so masking alone would leave the number in its database. It is a
    # descriptor since rendering a mapped task only sets fields. Native rendering may make an int of it.

    def __set_name__(self, owner: type, name: str) -> None:
        """Remember the field's name."""
        self._name = name

    def __get__(self, task: Any, owner: type | None = None) -> Any:
        """Return the number, or its template."""
        return self if task is None else task.__dict__.get(self._name)

    def __set__(self, task: Any, value: Any) -> None:
        """Set the number, or its template, and hide what is no template any more."""
        task.__dict__[self._name] = value
        if is_nothing(value) or has_template(value):
            return
        for each in value if isinstance(value, (list, tuple, set)) else (value,):
            mask_secret(str(each).strip())
        task.template_fields = [name for name in task.template_fields if name != self._name]
