# SPDX-License-Identifier: Apache-2.0
"""The sensor: wait until calls have started."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_synthflow import exceptions
from airflow_provider_synthflow import parameters as read
from airflow_provider_synthflow.exceptions import SynthflowError, SynthflowProtocolError, SynthflowTransientError
from airflow_provider_synthflow.hooks.masking import HiddenNumber
from airflow_provider_synthflow.operators.base import ReadableErrors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import (
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
        BaseSensorOperator,
        Context,
        PokeReturnValue,
        conf,
    )

    from airflow_provider_synthflow.sensors.new_calls import NewCallsWait
    from airflow_provider_synthflow.timestamps import InstantLike
else:
    try:  # loaded already, where the compatibility provider would cost each DAG file milliseconds
        from airflow.sdk import BaseSensorOperator, PokeReturnValue
        from airflow.sdk.configuration import conf
        from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
    except ImportError:
        from airflow.providers.common.compat.sdk import (
            AirflowFailException,
            AirflowSensorTimeout,
            AirflowSkipException,
            BaseSensorOperator,
            PokeReturnValue,
            conf,
        )

__all__ = ["SynthflowNewCallsSensor"]

_RESULT: dict[str, type | tuple[type, ...]] = {
    "model_id": str,
    "from_date": str,
    "count": int,
    "newest_start_time": (str, type(None)),
}
_TRIGGERER_LATE = dt.timedelta(minutes=5)
"""How long after the timeout the triggerer may take to say so, before Airflow says it."""


class SynthflowNewCallsSensor(read.CheckedParameters, BaseSensorOperator):
    """
    A wait until a number of calls of an agent have started.

    A poke is one small request. Temporary problems (rate limits, the API, the network) do not fail the sensor before
    its timeout; a wrong key fails it at once.

    :param model_id: the agent's id (templated)
    :param from_date: count calls from here on, inclusive: an aware datetime, epoch milliseconds or ISO 8601 with a
        zone; default: the start of the run's window (templated)
    :param to_date: count calls before this, exclusive, likewise; default: now, at each poke (templated)
    :param min_calls: how many calls to wait for; default 1
    :param call_status: the API's filter: one status (templated)
    :param duration_min: the API's filter: seconds, inclusive (templated)
    :param duration_max: the API's filter: seconds, inclusive (templated)
    :param lead_phone_number: the API's filter: caller or callee, E.164 (templated)
    :param deferrable: wait in the triggerer after a first poke, in any ``mode``; default:
        ``[operators] default_deferrable``
    :param mode: ``reschedule`` needs a worker only for each poke, ``poke`` all the time; default ``reschedule``,
        and ``poke`` if ``execute`` is called outside of a run, as in a test of a DAG's tasks
    :param synthflow_conn_id: the Airflow connection to Synthflow; default ``synthflow_default`` (templated)
    :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
    """

    template_fields: Sequence[str] = ("model_id", "from_date", "to_date", *read.FILTERS, "synthflow_conn_id")
    readers: ClassVar[Mapping[str, read.Reader]] = {
        "model_id": read.read_agent,
        "from_date": read.read_time,
        "to_date": read.read_time,
        "min_calls": read.read_whole,
        **read.FILTERS,
        "synthflow_conn_id": read.read_text,
    }
    lead_phone_number = HiddenNumber()
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
        mode: str | None = None,
        synthflow_conn_id: str = "synthflow_default",
        **kwargs: Any,
    ) -> None:
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        super().__init__(mode=mode or "reschedule", **kwargs)
        self._mode_is_given = mode is not None
        self.model_id = model_id
        self.from_date = from_date
        self.to_date = to_date
        self.min_calls = min_calls
        self.call_status = call_status
        self.duration_min = duration_min
        self.duration_max = duration_max
        self.lead_phone_number = lead_phone_number
        self.deferrable: bool = read.read_parameter(read.read_flag, deferrable, "deferrable")
        self.synthflow_conn_id = synthflow_conn_id
        self._outage: str | None = None  # why the last poke had no answer
        self.check_fixed()

    def execute(self, context: Context) -> Any:
        """Wait for the calls; a time that is over fails also with ``soft_fail`` where the last poke had no answer."""
        with ReadableErrors():
            return self._execute_deferrable(context) if self.deferrable else self._execute(context)

    def _execute(self, context: Context) -> Any:
        if not self._mode_is_given and not _is_a_run(context):
            self.mode = "poke"  # nobody would start the task again
        try:
            return super().execute(context)
        except AirflowSkipException:
            if self._outage is None:
                raise
        except AirflowSensorTimeout:
            pass  # its own text tells neither what was waited for, nor why in vain
        raise AirflowSensorTimeout(self._timeout_text())

    def _execute_deferrable(self, context: Context) -> Any:
        started = dt.datetime.now(dt.timezone.utc)
        found = self._softly(lambda: self._poke_first(context))
        if found:
            return found.xcom_value
        self._softly(lambda: self._check_time(started))
        self._defer(context, started)
        raise AssertionError  # to defer is to raise

    def execute_complete(self, context: Context, event: Any = None, **_: Any) -> dict[str, Any]:
        """End with what the triggerer found, as a poke would have: with the result, or with its error."""
        del context  # nothing of it is needed
        with ReadableErrors():
            result: dict[str, Any] = self._softly(lambda: self._read_event(event))
        self.log.info("%d of %d calls since %s.", result["count"], self.min_calls, result["from_date"])
        return result

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the deferral, also where Airflow found the time to be over before the trigger did."""
        failure = str((next_kwargs or {}).get("error", "")) if next_method == "__fail__" else ""
        if "timeout" in failure.lower():  # its versions make different errors of it, softly or not
            return self._softly(lambda: self._read_event({"status": "timeout"}))
        return super().resume_execution(next_method, next_kwargs, context)

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Ask once."""
        self._outage = None
        wait = self._make_wait(context)
        try:
            result = wait.poll()
        except (SynthflowTransientError, SynthflowProtocolError) as error:
            self._outage = str(error)
            self.log.warning("This poke got no answer, the next one may: %s", error)
            return False
        return False if result is None else PokeReturnValue(is_done=True, xcom_value=result)

    def _make_wait(self, context: Context) -> NewCallsWait:
        from airflow_provider_synthflow.sensors.new_calls import NewCallsWait  # noqa: PLC0415 - the worker's part

        return NewCallsWait(self.read_parameters(), context)

    def _poke_first(self, context: Context) -> PokeReturnValue | None:
        """Poke once before anything is stored and sent about, as most waits are short or fail at once."""
        try:
            return self.poke(context) or None  # type: ignore[return-value]  # a PokeReturnValue is never merely True
        except (AirflowFailException, AirflowSensorTimeout, AirflowSkipException):
            raise
        except Exception:
            if not getattr(self, "silent_fail", False):
                raise
            self.log.exception("Sensor poke failed.")
            return None

    def _check_time(self, started: dt.datetime) -> None:
        if (dt.datetime.now(dt.timezone.utc) - started).total_seconds() > self.timeout:
            raise AirflowSensorTimeout(self._timeout_text())

    def _timeout_text(self) -> str:
        given = {name: getattr(self, name) for name in read.FILTERS}
        given = {name: value for name, value in given.items() if not read.is_nothing(value)}
        hidden = {"lead_phone_number": "***"}
        filters = "".join(f", {name}={hidden.get(name, value)}" for name, value in given.items())
        wanted = "a call" if self.min_calls == 1 else f"{self.min_calls} calls"
        wanted = f"{wanted} of agent {self.model_id}{filters}"
        late = f"Sensor has timed out after {self.timeout:g} seconds"
        if self._outage is None:
            cure = "Check model_id, the filters and from_date if calls were expected, else raise timeout."
            return f"{late} without {wanted}.\n{cure}"
        cure = "Clear the task once that trouble is over, or raise timeout."
        unknown = f"whether {wanted} came is not known, since the last poke had no answer"
        return f"{late}; {unknown}: {self._outage}\n{cure}"

    def _softly(self, act: Callable[[], Any]) -> Any:
        """Call something, and skip the task where it fails and the sensor is set to, as in poke mode."""
        try:
            return act()
        except AirflowSkipException:
            raise
        except (AirflowSensorTimeout, AirflowFailException) as error:
            if self._outage is not None:
                raise  # nobody knows whether there are calls, so that it is no reason to skip
            if self.soft_fail:
                raise AirflowSkipException(f"Skipping due to soft_fail is set to True. {error}") from error
            self._skip_never_failing(error)
            raise
        except Exception as error:
            self._skip_never_failing(error)
            raise

    def _skip_never_failing(self, error: Exception) -> None:
        if getattr(self, "never_fail", False):
            raise AirflowSkipException(f"Skipping due to never_fail is set to True. {error}") from error

    def _defer(self, context: Context, started: dt.datetime) -> None:
        """Defer the wait to the triggerer, until the timeout counted from the start of this try."""
        deadline = started + dt.timedelta(seconds=self.timeout)
        trigger = self._make_wait(context).make_trigger(
            deadline,
            poll_interval=self.poke_interval,
            exponential_backoff=bool(self.exponential_backoff),
            max_wait=getattr(self, "max_wait", None),
        )
        left = max(deadline - dt.datetime.now(dt.timezone.utc), dt.timedelta(0))
        self.defer(trigger=trigger, method_name="execute_complete", timeout=left + _TRIGGERER_LATE)

    def _read_event(self, event: Any) -> dict[str, Any]:
        """Return the result that the trigger's event holds, or raise the error that it tells of."""
        told = event if isinstance(event, dict) else {}
        status, message = told.get("status"), told.get("message")
        if status == "timeout":
            self._outage = message if isinstance(message, str) else None
            raise AirflowSensorTimeout(self._timeout_text())
        if status == "error" and isinstance(message, str):
            kind = getattr(exceptions, str(told.get("error")), None)
            if isinstance(kind, type) and issubclass(kind, SynthflowError):
                raise kind(message)
        if status == "success" and all(
            name in told and isinstance(told[name], types) and not isinstance(told[name], bool)
            for name, types in _RESULT.items()
        ):
            return {name: told[name] for name in _RESULT}
        raise SynthflowProtocolError(
            "The triggerer ended the wait with an event that does not come from SynthflowNewCallsTrigger. Run "
            "the task again. If that does not help, check that the triggerer and the workers have the same "
            "versions installed."
        )


def _is_a_run(context: Context) -> bool:
    """Tell whether Airflow runs the task, so that it can be rescheduled."""
    return type((context or {}).get("ti")).__module__.partition(".")[0] == "airflow"
