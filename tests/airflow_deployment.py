# SPDX-License-Identifier: Apache-2.0
"""A real Airflow for tests: scheduler, DAG processor, triggerer and API server on free ports, over any database."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from typing_extensions import Self

__all__ = ["COMPONENTS", "AirflowDeployment", "free_ports"]

_REPOSITORY = Path(__file__).resolve().parent.parent
_POLL = 0.3
_LOCKED = 30.0
_CONNECT_ARGS = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS"

_AIRFLOW_2 = version("apache-airflow").startswith("2.")
_API = "/api/v1" if _AIRFLOW_2 else "/api/v2"

_LIVING = "is_active" if _AIRFLOW_2 else "NOT is_stale"
# Both rows: Airflow 2 writes them in two transactions, and answers between them that there is no such DAG.
_KNOWN_DAGS = f"SELECT dag_id FROM serialized_dag JOIN dag USING (dag_id) WHERE {_LIVING}"  # noqa: S608 - as above

COMPONENTS = ("webserver", "scheduler", "triggerer")
"""What :meth:`AirflowDeployment.start` starts; the first answers whether the others are well, and tasks' requests."""
if not _AIRFLOW_2:
    COMPONENTS = ("api-server", "dag-processor", "scheduler", "triggerer")

_BEATING = frozenset({"dag-processor", "scheduler", "triggerer"})


class HastyConnection(sqlite3.Connection):
    """A connection that does not wait for the disk: after a power cut nobody needs the database of a test."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA synchronous=OFF")


# Airflow reads these by their dotted names. Its processes share one SQLite file and wait for one another, the API
# server not so long: there a request that waits can hold up the one that it waits for, until it gives up.
SQLITE_PATIENT = {"timeout": 60, "factory": HastyConnection}
SQLITE_IMPATIENT = {"timeout": 3, "factory": HastyConnection}
_IMPATIENT = {_CONNECT_ARGS: f"{__name__}.SQLITE_IMPATIENT"}

_RUN_COMMANDS = """
import json, sys
from airflow.__main__ import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["airflow", *command]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


class AirflowDeployment:
    """
    All processes of an Airflow with their own home, ports and environment, which leave nothing behind.

    It runs the Airflow of the Python that runs the tests, and sees this repository on its path. Nothing of
    the tests' own Airflow settings gets into it. As a context manager it starts and stops.

    :param home: the Airflow home, a folder that is made where it is not there
    :param dags_folder: the folder of its DAGs; default: an empty one in the home
    :param env: more environment, such as ``AIRFLOW_CONN_*``; it wins over what is set here
    :param database_url: the database, as SQLAlchemy names it; default: an SQLite file in the home
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path | None = None,
        env: Mapping[str, str] | None = None,
        *,
        database_url: str | None = None,
    ) -> None:
        self.home = Path(home).resolve()
        self.database = self.home / "airflow.db" if database_url is None else None
        self.database_url = database_url or f"sqlite:///{self.database}"
        self.log = self.home / "airflow.log"
        self.port, log_port, trigger_port = free_ports(3)
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = _outer_environment() | {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API_AUTH__JWT_ISSUER": self.url,  # Airflow 3.0 with a new PyJWT needs one
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(24),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",  # on a busy machine Airflow's own imports take 20 seconds
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder or self.home / "dags"),
            "AIRFLOW__CORE__DAG_FILE_PROCESSOR_TIMEOUT": "400",  # its place before Airflow 3.0
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database_url,
            **({_CONNECT_ARGS: f"{__name__}.SQLITE_PATIENT"} if self.database else {}),
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "400",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_port),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(log_port),
            "AIRFLOW__SCHEDULER__MAX_DAGRUNS_TO_CREATE_PER_LOOP": "50",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__WEBSERVER__SECRET_KEY": secrets.token_urlsafe(24),
            "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(self.port),
            "AIRFLOW__WEBSERVER__WORKERS": "1",
            # A task whose start is not answered in time is failed; five seconds are little for a busy machine.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            # how long a supervisor may take to notice that its task has ended
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "SPT_NOENV": "1",  # a process that gives itself a title leaves its environment, by which it is found
            **(env or {}),
        }
        self.components: dict[str, subprocess.Popen[bytes]] = {}
        self._groups: set[int] = set()  # also of components that were killed, since what they started may live on
        self._prepared = False
        self._token: str | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextlib.contextmanager
    def api_server(self) -> Iterator[Self]:
        """Run the server of the UI and the API alone."""
        try:
            self.start(COMPONENTS[0])
            yield self
        finally:
            self.stop()

    def start(self, *components: str, timeout: float = 300) -> None:
        """
        Start Airflow and wait until what was started reports itself healthy.

        The API server comes first, and the others once it answers: the scheduler starts tasks as soon as it runs,
        and a task whose first request is refused has failed.

        :param components: the commands to start, such as ``"scheduler"``; all of them where none is named
        :param timeout: seconds until this is an error
        """
        self.prepare()
        components = components or COMPONENTS
        if COMPONENTS[0] in components:
            self.spawn(COMPONENTS[0], COMPONENTS[0])
            self.wait_for(self._healthy, "the API server answers", timeout=timeout)
        for component in components:
            if component != COMPONENTS[0]:
                self.spawn(component, component)
        self.wait_for(self._healthy, "Airflow is healthy", timeout=timeout)

    def prepare(self) -> None:
        """Make the database, unless it is there."""
        if not self._prepared and not (self.database and self.database.exists()):
            self._make_database()
        self._prepared = True

    def spawn(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start one process of Airflow by its name and its command, and do not wait for it."""
        impatient = self.database is not None and name == "api-server"
        with self.log.open("ab") as log:
            self.components[name] = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "airflow", *command],
                env=self.env | (_IMPATIENT if impatient else {}),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._groups.add(self.components[name].pid)
        return self.components[name]

    def kill(self, name: str, *, whole: bool = True) -> int:
        """Kill a component, and all that came of it unless not ``whole``; return how many processes there were."""
        component = self.components.pop(name)
        if not whole:
            component.kill()
            component.wait(timeout=10)
            return 1
        killed = 0
        while tree := _tree(component.pid):  # once more, since what forks at this moment is not yet in the list
            for process in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            killed += len(tree)
            psutil.wait_procs(tree, timeout=5)
        component.wait(timeout=10)
        return killed

    def stop(self) -> None:
        """Kill all that the deployment started, also what made itself a process group of its own."""
        for number, seconds in ((signal.SIGTERM, 2), (signal.SIGKILL, 3), (signal.SIGKILL, 3)):
            # once more, since what forks at this moment is not yet in the list
            processes = self.processes()
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            psutil.wait_procs(processes, timeout=seconds)
        for component in self.components.values():
            component.wait(timeout=10)
        self.components.clear()

    def processes(self) -> list[psutil.Process]:
        """
        Return all living processes of the deployment.

        They are what it started, what came of that, and whatever has the Airflow home in its environment.
        """
        groups = self._groups
        found = [process for component in groups for process in _tree(component)]
        known = {process.pid for process in found}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if process.pid in known:
                    continue
                if os.getpgid(process.pid) in groups or process.environ().get("AIRFLOW_HOME") == str(self.home):
                    found.append(process)
        return found

    def cli(self, *args: str, timeout: float = 600) -> str:
        """Run an Airflow command, such as ``"dags", "trigger", "my_dag"``, and return what it printed."""
        return self.commands([args], timeout=timeout)

    def commands(self, commands: Sequence[Sequence[str]], timeout: float = 600) -> str:
        """
        Run Airflow commands one after the other in one process, which starts only once, and so much faster.

        :param commands: the arguments of each
        :param timeout: seconds until this is an error
        :return: what they printed
        """
        result = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _RUN_COMMANDS, json.dumps([list(command) for command in commands])],
            env=self.env,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if result.returncode != 0:
            raise AssertionError(f"{commands} failed:\n{result.stdout}\n{result.stderr}")
        return result.stdout

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        """
        Call Airflow's public API, as the administrator that everybody is, and return its answer.

        :param method: the HTTP method
        :param path: below ``/api/v2``, or ``/api/v1`` of Airflow 2, such as ``"/dags"``
        :param body: what to send as JSON
        :raises urllib.error.HTTPError: where Airflow refuses, with its answer in the message
        """
        data = None if body is None else json.dumps(body).encode()
        deadline = time.monotonic() + _LOCKED
        while True:
            try:
                text = self._send(method, f"{_API}{path}", data)
            except urllib.error.HTTPError as error:  # noqa: PERF203 - a request costs far more
                # SQLite was locked by another process, and the API server took back what it had begun.
                if error.code != 500 or time.monotonic() > deadline:
                    raise
                time.sleep(_POLL)
            else:
                return json.loads(text) if text else None

    def wait_for(self, condition: Callable[[], Any], what: str, *, timeout: float = 60) -> Any:
        """
        Ask a condition until it holds and return what it gave; show the log where it never does.

        :param condition: gives something true once it holds; an error of the network counts as not yet
        :param what: what is waited for, for the error
        :param timeout: seconds until this is an error
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # also URLError, HTTPError and refused connections
                if result := condition():
                    return result
            ended = [name for name, component in self.components.items() if component.poll() is not None]
            if ended:
                what = f"{what}, since {ended} ended"
                break
            time.sleep(_POLL)
        tail = self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""
        raise AssertionError(f"It did not come about in {timeout} s that {what}. The log ends with:\n{tail}")

    def dag_ids(self) -> set[str]:
        """Return the DAGs that Airflow knows by now, so that they can be triggered."""
        from sqlalchemy import create_engine, text  # noqa: PLC0415 - it takes its time

        engine = create_engine(self.database_url)
        try:
            with engine.connect() as database:
                return {row[0] for row in database.execute(text(_KNOWN_DAGS))}
        finally:
            engine.dispose()

    def _make_database(self) -> None:
        (self.home / "dags").mkdir(parents=True, exist_ok=True)
        if _AIRFLOW_2:  # what SIMPLE_AUTH_MANAGER_ALL_ADMINS is for Airflow 3
            (self.home / "webserver_config.py").write_text('AUTH_ROLE_PUBLIC = "Admin"\n', encoding="ascii")
        if self.database is not None:
            with contextlib.closing(sqlite3.connect(self.database)) as database:
                database.execute("PRAGMA journal_mode=WAL")  # it stays so: readers do not wait for the writer
        self.cli("db", "migrate")

    def _send(self, method: str, path: str, data: bytes | None = None) -> bytes:
        """Send a request with the token of the one user there is, and return the answer's body."""
        headers = {"Content-Type": "application/json"}
        if self._token is None and path != "/auth/token" and not _AIRFLOW_2:  # there everybody needs no token
            self._token = json.loads(self._send("GET", "/auth/token"))["access_token"]
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.url + path, method=method, data=data, headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                body: bytes = answer.read()
        except urllib.error.HTTPError as error:
            error.msg = f"{error.msg}: {error.read().decode(errors='replace')}"
            raise
        return body

    def _healthy(self) -> bool:
        """Tell whether every component that was started sends its heartbeat."""
        path = "/health" if _AIRFLOW_2 else "/api/v2/monitor/health"
        with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as answer:  # noqa: S310
            health = json.load(answer)
        beating = {component.replace("-", "_") for component in self.components if component in _BEATING}
        return all((health.get(component) or {}).get("status") == "healthy" for component in beating)


def _outer_environment() -> dict[str, str]:
    """Return the environment without Airflow's settings of the tests, and with this Python's commands first."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW", "PYTEST"))}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_REPOSITORY), env.get("PYTHONPATH")]))
    return env


def _tree(pid: int) -> list[psutil.Process]:
    """Return a process and all that came of it and lives; a process that has ended is not among them."""
    try:
        process = psutil.Process(pid)
        tree = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    living = []
    for each in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            if each.status() != psutil.STATUS_ZOMBIE:
                living.append(each)
    return living


def free_ports(count: int) -> list[int]:
    """Return ports that are free now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
