# SPDX-License-Identifier: Apache-2.0
"""The sensor: wait until calls have started."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_synthflow.exceptions import (
    SynthflowConfigError,
    SynthflowProtocolError,
    SynthflowTransientError,
    SynthflowWindowError,
)
from airflow_provider_synthflow.templates import given

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_synthflow.instants import InstantLike
    from airflow_provider_synthflow.polling import Poll

__all__ = ["SynthflowNewCallsSensor"]


class SynthflowNewCallsSensor(BaseSensorOperator):
    """
    Wait until a number of calls of an agent have started.

    A poke is one small request. What passes (rate limits, the API's or the network's trouble) is waited out until the
    sensor's timeout; a wrong key fails at once.

    :param model_id: the agent's id (templated)
    :param from_date: count calls from here on, inclusive: an aware datetime, epoch milliseconds or ISO 8601 with a
        zone; default: the start of the run's window (templated)
    :param to_date: count calls before this, exclusive, likewise; default: now, at each poke (templated)
    :param min_calls: how many calls to wait for; default 1
    :param call_status: the API's filter: one status (templated)
    :param duration_min: the API's filter: seconds, inclusive (templated)
    :param duration_max: the API's filter: seconds, inclusive (templated)
    :param lead_phone_number: the API's filter: caller or callee, E.164 (templated)
    :param deferrable: give the worker back between pokes, whatever ``mode`` says; default:
        ``[operators] default_deferrable``
    :param synthflow_conn_id: the Airflow connection to Synthflow; default ``synthflow_default``
    :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
    """

    template_fields: Sequence[str] = (
        "model_id",
        "from_date",
        "to_date",
        "call_status",
        "duration_min",
        "duration_max",
        "lead_phone_number",
    )
    ui_color = "#e3e8fd"

    def __init__(
        self,
        *,
        model_id: str,
        from_date: InstantLike | None = None,
        to_date: InstantLike | None = None,
        min_calls: int = 1,
        call_status: str | None = None,
        duration_min: int | None = None,
        duration_max: int | None = None,
        lead_phone_number: str | None = None,
        deferrable: bool | None = None,
        synthflow_conn_id: str = "synthflow_default",
        **kwargs: Any,
    ) -> None:
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        if deferrable:
            kwargs["mode"] = "reschedule"
        super().__init__(**kwargs)
        self.model_id = model_id
        self.from_date = from_date
        self.to_date = to_date
        self.min_calls = min_calls
        self.call_status = call_status
        self.duration_min = duration_min
        self.duration_max = duration_max
        self.lead_phone_number = lead_phone_number
        self.deferrable = deferrable
        self.synthflow_conn_id = synthflow_conn_id

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """
        Look once.

        :param context: the task's context; with an explicit ``from_date`` nothing of it is needed
        """
        from airflow_provider_synthflow.client.sender import Sender  # noqa: PLC0415 - only on a worker
        from airflow_provider_synthflow.hooks.synthflow import SynthflowHook  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.polling import poll  # noqa: PLC0415 - likewise

        state = self._poll(context)
        if state.to_ms <= state.from_ms:
            return False  # the time to count from lies ahead
        # One try: the next poke is the next one, and the sensor's timeout counts.
        settings = replace(SynthflowHook(self.synthflow_conn_id).settings, max_attempts=1)
        with Sender(settings) as sender:
            try:
                poll(sender, state)
            except (SynthflowTransientError, SynthflowProtocolError) as error:
                self.log.warning("This poke brought no answer, the next one may: %s", error)
                return False
        result = state.result()
        self.log.info("%d of %d calls since %s.", result["count"], self.min_calls, result["from_date"])
        return PokeReturnValue(is_done=True, xcom_value=result) if state.satisfied else False

    def _poll(self, context: Context) -> Poll:
        """Make the poll of what the task was given and the run's window."""
        from airflow_provider_synthflow.client.query import CallsQuery  # noqa: PLC0415 - only on a worker
        from airflow_provider_synthflow.polling import Poll  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.run_window import windows_of_run  # noqa: PLC0415 - likewise

        if not isinstance(self.min_calls, int) or isinstance(self.min_calls, bool) or self.min_calls < 1:
            msg = "min_calls must be a whole number from 1."
            raise SynthflowConfigError(msg)
        try:
            query = CallsQuery.of(
                self.model_id,
                call_status=given(self.call_status),
                duration_min=given(self.duration_min),
                duration_max=given(self.duration_max),
                lead_phone_number=given(self.lead_phone_number),
            )
        except ValueError as error:
            raise SynthflowConfigError(str(error)) from None
        now = int(dt.datetime.now(dt.timezone.utc).timestamp() * 1000)
        from_ms = _instant(self.from_date, "from_date")
        to_ms = _instant(self.to_date, "to_date")
        if from_ms is None:
            from_ms = windows_of_run(context, model_id=query.model_id).windows[0].from_ms
        if to_ms is not None and to_ms <= from_ms:
            msg = "from_date is not before to_date, so that no call can ever count."
            raise SynthflowWindowError(msg)
        return Poll(
            query=query,
            from_ms=from_ms,
            to_ms=now if to_ms is None else to_ms,
            to_given=to_ms is not None,
            min_calls=self.min_calls,
        )


def _instant(value: InstantLike | None, name: str) -> int | None:
    """Read a bound; an empty text, as a template may render, is none."""
    value = given(value)
    if value is None:
        return None
    from airflow_provider_synthflow.instants import to_milliseconds  # noqa: PLC0415 - only on a worker

    try:
        return to_milliseconds(value, name=name)
    except ValueError as error:
        raise SynthflowWindowError(str(error)) from None
