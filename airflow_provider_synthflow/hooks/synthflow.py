# SPDX-License-Identifier: Apache-2.0
"""The hook: a connection's credentials, and the requests that they allow."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowError
from airflow_provider_synthflow.hooks import connection_form

if TYPE_CHECKING:
    import datetime as dt
    import os
    from collections.abc import Iterator

    import requests
    from airflow.providers.common.compat.sdk import BaseHook
    from typing_extensions import Self

    from airflow_provider_synthflow.client.client import SynthflowClient
    from airflow_provider_synthflow.client.response import CallsPage
    from airflow_provider_synthflow.client.settings import Settings
    from airflow_provider_synthflow.extraction.collect import WindowCalls
    from airflow_provider_synthflow.hooks.session import HookSession
    from airflow_provider_synthflow.timestamps import InstantLike
    from airflow_provider_synthflow.window.window import Window
else:
    try:  # loaded already, where the compatibility provider would cost each DAG file milliseconds
        from airflow.sdk import BaseHook
    except ImportError:
        from airflow.hooks.base import BaseHook

__all__ = ["SynthflowHook"]


class SynthflowHook(BaseHook):
    """
    A connection to Synthflow, and its requests.

    Use it as a context manager, or call :meth:`close`, to close its connections. Several threads may share it.

    :param synthflow_conn_id: the id of a connection of type ``synthflow``: the API key in its password, and
        in its extra ``region`` (``global``, ``us`` or ``eu``), ``timeout`` (seconds), ``max_response_bytes``,
        ``max_attempts``, ``hash_key`` and ``allow_insecure``; default ``synthflow_default``
    """

    conn_name_attr = "synthflow_conn_id"
    default_conn_name = "synthflow_default"
    conn_type = connection_form.CONNECTION_TYPE
    hook_name = connection_form.HOOK_NAME

    def __init__(self, synthflow_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.synthflow_conn_id = synthflow_conn_id
        self._opened: HookSession | None = None

    def __enter__(self) -> Self:
        """Return the hook itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the hook."""
        self.close()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return what becomes of Airflow's own fields in the form, for versions that ask the hook."""
        return {name.replace("-", "_"): value for name, value in connection_form.UI_FIELD_BEHAVIOUR.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the connection's own fields as wtforms fields, for versions that read no declaration of them."""
        return connection_form.form_widgets()

    @property
    def settings(self) -> Settings:
        """
        Return the settings of the connection, read once; from then on the logs mask its secrets.

        :raises SynthflowConfigError: if there is no such connection, or it is not usable
        """
        return self._session.settings

    @property
    def client(self) -> SynthflowClient:
        """Return the client that sends the requests, the same until the hook is closed."""
        return self._session.client

    def get_conn(self) -> requests.Session:
        """
        Return this thread's session: authenticated, with kept-alive connections.

        :raises SynthflowConfigError: if the connection is not usable
        """
        return self.client.session()

    def close(self) -> None:
        """Close all sessions; the next request opens new ones."""
        if self._opened is not None:
            self._opened.close()

    def test_connection(self) -> tuple[bool, str]:
        """
        Make a real request that costs nothing, and say what is wrong: the key, the region or the network.

        :return: whether it succeeded, and a sentence without any secret
        """
        try:
            return self._session.check()
        except SynthflowError as error:  # from the form Airflow gives the connection an id of its own, drawn by lot
            return False, str(error).replace(f"Connection '{self.synthflow_conn_id}'", "The connection")

    def list_calls(
        self,
        model_id: str,
        *,
        from_date: InstantLike | None = None,
        to_date: InstantLike | None = None,
        call_status: str | None = None,
        duration_min: int | None = None,
        duration_max: int | None = None,
        lead_phone_number: str | None = None,
        limit: int = 100,
        offset: int = 0,
        concurrency: int = 1,
        on_mismatch: str = "fail",
    ) -> Iterator[dict[str, Any]]:
        """
        Yield all calls that match, each once, as the API sends them: complete, or an error.

        The bounds go to the API unchanged: the API decides which time of a call they bound and whether they are
        inclusive. For calls that started in a window, use :meth:`list_calls_window`.

        :param model_id: the agent's id
        :param from_date: an aware datetime, epoch milliseconds, or ISO 8601 with a zone; default: not sent
        :param to_date: likewise
        :param call_status: one status, as the API writes it
        :param duration_min: seconds, inclusive
        :param duration_max: seconds, inclusive
        :param lead_phone_number: caller or callee, E.164
        :param limit: the page size, 1 to 100
        :param offset: the index of the first call
        :param concurrency: how many pages to request in parallel
        :param on_mismatch: ``fail`` or ``include`` a call of another agent or status than asked for
        :raises ValueError: for a naive time, or an invalid filter, limit, offset or choice
        :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
        """
        return self._session.list_calls(
            model_id,
            from_date=from_date,
            to_date=to_date,
            call_status=call_status,
            duration_min=duration_min,
            duration_max=duration_max,
            lead_phone_number=lead_phone_number,
            limit=limit,
            offset=offset,
            concurrency=concurrency,
            on_mismatch=on_mismatch,
        )

    def list_calls_page(
        self,
        model_id: str,
        *,
        from_date: InstantLike | None = None,
        to_date: InstantLike | None = None,
        call_status: str | None = None,
        duration_min: int | None = None,
        duration_max: int | None = None,
        lead_phone_number: str | None = None,
        limit: int = 20,
        offset: int = 0,
        on_mismatch: str = "fail",
    ) -> CallsPage:
        """
        Return one page of calls, with the total that the API declares.

        :param model_id: the agent's id
        :param from_date: an aware datetime, epoch milliseconds, or ISO 8601 with a zone; default: not sent
        :param to_date: likewise
        :param call_status: one status, as the API writes it
        :param duration_min: seconds, inclusive
        :param duration_max: seconds, inclusive
        :param lead_phone_number: caller or callee, E.164
        :param limit: the page size, 1 to 100
        :param offset: the index of the first call
        :param on_mismatch: ``fail`` or ``include`` a call of another agent or status than asked for
        :raises ValueError: for a naive time or a filter of the wrong type
        :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
        """
        return self._session.list_page(
            model_id,
            from_date=from_date,
            to_date=to_date,
            call_status=call_status,
            duration_min=duration_min,
            duration_max=duration_max,
            lead_phone_number=lead_phone_number,
            limit=limit,
            offset=offset,
            on_mismatch=on_mismatch,
        )

    def list_calls_window(
        self,
        model_id: str,
        window: Window | tuple[InstantLike, InstantLike] | dict[str, InstantLike],
        *,
        settle: dt.timedelta | float = 3600.0,
        call_status: str | None = None,
        duration_min: int | None = None,
        duration_max: int | None = None,
        lead_phone_number: str | None = None,
        on_unplaced: str = "fail",
        on_mismatch: str = "fail",
        concurrency: int = 4,
        max_walks: int = 5,
    ) -> WindowCalls:
        """
        Return the calls whose ``start_time`` lies in a window, each exactly once, verified.

        It does not depend on which timestamp, inclusion and order the API uses: it requests more than the window, reads
        the pages until they are proven complete, and selects the calls by their own start.

        :param model_id: the agent's id
        :param window: a :class:`~airflow_provider_synthflow.window.Window`, or a pair of an inclusive start and an
            exclusive end: aware datetimes, epoch milliseconds, or ISO 8601 with a zone
        :param settle: how long after the window's end a call that began in it may still run or change: a timedelta,
            or seconds; default one hour. The method does not wait
        :param call_status: one status, as the API writes it
        :param duration_min: seconds, inclusive
        :param duration_max: seconds, inclusive
        :param lead_phone_number: caller or callee, E.164
        :param on_unplaced: ``fail`` or ``include`` a final call without any readable start
        :param on_mismatch: ``fail`` or ``include`` a call of another agent or status than asked for
        :param concurrency: how many pages to request in parallel
        :param max_walks: how often to read all pages before it fails
        :return: a list of the calls, in the order of their start, with the numbers of the walk as ``extraction``
        :raises ValueError: for a naive time or a filter of the wrong type
        :raises SynthflowWindowError: if the window is empty or reversed
        :raises SynthflowIncompleteError: if no walk was complete
        :raises SynthflowProtocolError: if the API ignores the window, or a final call has no start
        :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
        """
        filters = {
            "call_status": call_status,
            "duration_min": duration_min,
            "duration_max": duration_max,
            "lead_phone_number": lead_phone_number,
        }
        return self._session.list_window(
            model_id,
            window,
            filters=filters,
            settle=settle,
            on_unplaced=on_unplaced,
            on_mismatch=on_mismatch,
            concurrency=concurrency,
            max_walks=max_walks,
        )

    def count_calls(
        self,
        model_id: str,
        *,
        from_date: InstantLike | None = None,
        to_date: InstantLike | None = None,
        call_status: str | None = None,
        duration_min: int | None = None,
        duration_max: int | None = None,
        lead_phone_number: str | None = None,
        on_mismatch: str = "fail",
    ) -> int:
        """
        Return how many calls match, as the API counts them: one request for one row if it declares a total.

        :param model_id: the agent's id
        :param from_date: an aware datetime, epoch milliseconds, or ISO 8601 with a zone; default: not sent
        :param to_date: likewise
        :param call_status: one status, as the API writes it
        :param duration_min: seconds, inclusive
        :param duration_max: seconds, inclusive
        :param lead_phone_number: caller or callee, E.164
        :param on_mismatch: ``fail`` or ``include`` a call of another agent or status than asked for
        :raises ValueError: for a naive time or a filter of the wrong type
        :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
        """
        return self._session.count_calls(
            model_id,
            from_date=from_date,
            to_date=to_date,
            call_status=call_status,
            duration_min=duration_min,
            duration_max=duration_max,
            lead_phone_number=lead_phone_number,
            on_mismatch=on_mismatch,
        )

    def get_call(self, call_id: str) -> dict[str, Any]:
        """
        Return one call, as Get a call sends it, which is not a superset of its record in List calls.

        :param call_id: the API's opaque id
        :raises SynthflowRequestError: if there is no such call (404)
        :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
        """
        return self._session.get_call(call_id)

    def list_assistants(self) -> Iterator[dict[str, Any]]:
        """
        Yield the workspace's agents, each once, without deleted ones.

        :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
        """
        yield from self._session.list_assistants()

    def get_recording_url(self, call_id: str) -> str:
        """
        Return the signed address of a call's recording, which is valid for 24 hours and needs no key.

        :param call_id: the API's opaque id
        :raises SynthflowRequestError: if there is no such recording (404)
        :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
        """
        return self._session.get_recording_url(call_id)

    def download_recording(self, call_id: str, file: IO[bytes] | str | os.PathLike[str]) -> dict[str, Any]:
        """
        Download a call's recording to a file, as a stream and without sending the key to its address.

        :param call_id: the API's opaque id
        :param file: a binary file that is open for writing, or a path, at which the whole recording appears
        :return: ``bytes``, ``sha256`` and ``content_type``
        :raises SynthflowRequestError: if there is no such recording (404)
        :raises SynthflowTransientError: if no complete recording came, after all tries
        :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
        """
        return self._session.download_recording(call_id, file)

    @property
    def _session(self) -> HookSession:
        """Return what does the work, once the connection is needed."""
        if self._opened is None:
            from airflow_provider_synthflow.hooks.session import HookSession  # noqa: PLC0415 - loads the client

            self._opened = HookSession(self.synthflow_conn_id)
        return self._opened
