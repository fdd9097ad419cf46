# SPDX-License-Identifier: Apache-2.0
"""
Try the tutorial word by word: ``make docs-test``.

A copy of this repository and an empty home are made. Then one shell runs each command of docs/tutorial.md in its order,
and what came of them is checked. Only ports are others, so that it gets along with what runs on this machine; the wait
for the scheduler ends when its files are there; and "your own" workspace is the test server, unless the environment
holds `SYNTHFLOW_API_KEY` (with `SYNTHFLOW_REGION`).
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dev.tutorial.shell import run_blocks
from tests.documents import ROOT, TUTORIAL, blocks_of
from tests.synthflow_server import TEST_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dev.tutorial.shell import Ran
    from tests.documents import Block

_LOG = ROOT / ".cache" / "tutorial.log"
_TIMEOUT = 1800
_DAYS = 14
_PATIENCE = 600
_WAIT = "sleep 60"
_FOUND = "find ~/synthflow-tutorial/calls -name _manifest.json | wc -l"
_EU = """--conn-extra '{"region": "eu"}'"""
_COUNT = re.compile(r'"count": (\d+)')


def main() -> int:
    """Run it, and return the process's exit code."""
    blocks = blocks_of(TUTORIAL, "sh")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="synthflow-tutorial-") as made:
        folder = Path(made)
        _copy(folder / "clone")
        (folder / "home").mkdir()
        ran, code = run_blocks(
            _replaced([block.text for block in blocks], _free_ports(4)),
            folder=folder / "clone",
            env=_environment(folder / "home"),
            typed=f"{os.environ.get('SYNTHFLOW_API_KEY') or TEST_KEY}\n",
            timeout=_TIMEOUT,
        )
        left = [path.name for path in (folder / "home").iterdir() if path.name == "synthflow-tutorial"]
    wrong = _wrong(blocks, ran, code, left)
    _LOG.parent.mkdir(exist_ok=True)
    _LOG.write_text("\n".join(f"=== {block}\n{did.printed}" for block, did in zip(blocks, ran, strict=False)))
    for block, did in zip(blocks, ran, strict=False):
        print(f"{did.seconds:7.1f} s  {block}  {block.text.splitlines()[0]}")
    print(f"{time.monotonic() - begun:7.1f} s  in all; {len(ran)} of {len(blocks)} blocks ran; what they said: {_LOG}")
    for each in wrong:
        print(f"WRONG: {each}")
    return 1 if wrong else 0


def _copy(clone: Path) -> None:
    """Copy what the repository holds: what is tracked, and what is new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the git of the path
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)


def _environment(home: Path) -> dict[str, str]:
    """Return the environment of a fresh login: nothing of this process's Python, Airflow or Synthflow."""
    python = Path(sys.base_prefix) / "bin"
    left = ("AIRFLOW", "PYTHON", "SYNTHFLOW", "VIRTUAL_ENV", "PYTEST")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(left)}
    return {
        **inherited,
        "HOME": str(home),
        "PATH": os.pathsep.join([str(python), *os.environ["PATH"].split(os.pathsep)]),
        "PIP_CACHE_DIR": str(ROOT / ".cache" / "pip"),
    }


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _replaced(texts: Sequence[str], ports: Sequence[int]) -> list[str]:
    """Put other ports in, a wait that ends, and the workspace that there is."""
    server, page, *logs = ports
    own = _EU
    if region := os.environ.get("SYNTHFLOW_REGION"):
        own = _EU.replace("eu", region)
    if not os.environ.get("SYNTHFLOW_API_KEY"):
        own = f"{_EU} --conn-host http://127.0.0.1:{server}"
    elsewhere = {
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{page}",
        "AIRFLOW__API__PORT": str(page),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{page}/execution/",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(logs[0]),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(logs[1]),
    }
    exports = "".join(f"export {name}={value}\n" for name, value in elsewhere.items())
    waits = f"for _ in $(seq {_PATIENCE}); do [ $({_FOUND}) -ge {_DAYS} ] && break; sleep 1; done\n"
    waits += f"[ $({_FOUND}) -ge {_DAYS} ] || tail -n 300 ~/synthflow-tutorial/standalone.log"
    joined = "\0".join(texts)
    for old, new in (
        (_EU, own),
        (_WAIT, waits),
        ("8765", str(server)),
        ("localhost:8080", f"localhost:{page}"),
        ("airflow standalone", f"{exports}airflow standalone"),
    ):
        if old not in joined:
            msg = f"{TUTORIAL.name} does not say {old} any more: change this trial with it."
            raise ValueError(msg)
        joined = joined.replace(old, new)
    return joined.split("\0")


def _wrong(blocks: Sequence[Block], ran: Sequence[Ran], code: int, left: Sequence[str]) -> list[str]:
    """Return what did not come out as the tutorial says."""
    if code or len(ran) < len(blocks):
        stopped = blocks[max(0, len(ran) - 1)]
        return [f"{stopped} ended with {code}:\n{ran[-1].printed[-4000:] if ran else ''}"]
    printed = {block.text.splitlines()[0]: did.printed for block, did in zip(blocks, ran, strict=True)}
    found = [f"{left} is left behind"] if left else []

    def expect(first_line: str, *parts: str) -> None:
        text = next(text for line, text in printed.items() if line.startswith(first_line))
        found.extend(f"`{first_line} …` does not say {part!r}:\n{text[-2000:]}" for part in parts if part not in text)

    expect("airflow providers list", "airflow-provider-synthflow")
    expect("airflow connections add", "Connection success!")
    expect("airflow dags test calls", "Reading [2026-11-22T00:00:00.000Z, 2026-11-23T00:00:00.000Z)", " written: ")
    looked = next(text for line, text in printed.items() if line.startswith("cd ~"))
    count = int((_COUNT.search(looked) or ["", "0"])[1])
    if not count or f"\n{count}\n" not in looked.replace(" ", ""):
        found.append(f"the file has not the lines that the manifest counts:\n{looked}")
    if '"call_id"' not in looked:
        found.append(f"a line of the file is no call:\n{looked}")
    expect("cksum", "there already: ")
    sums = [
        line.split()[0]
        for line in next(text for line, text in printed.items() if line.startswith("cksum")).splitlines()
        if line.endswith("calls.jsonl.gz")
    ]
    if len(sums) < 2 or len({sums[0], sums[-1]}) != 1:
        found.append(f"the bytes differ: {sums}")
    said = [line for block in blocks_of(TUTORIAL, "text") for line in block.text.splitlines() if line != "…"]
    found += [f"nothing says: {line}" for line in said if not _pattern(line).search("".join(printed.values()))]
    days = int(next(text for line, text in printed.items() if line.startswith("sleep")).split()[-1])
    if days < _DAYS:
        found.append(f"only {days} of {_DAYS} days are there {_PATIENCE} s after Airflow began")
    expect("read -rs", "Connection success!")
    expect("cp example_dags", "_manifest.json")
    return found


def _pattern(line: str) -> re.Pattern[str]:
    """Return what finds a line that the tutorial shows; an ellipsis stands for anything, a port for any."""
    text = re.escape(line).replace("…", ".*").replace("8765", r"\d+").replace("4711", r"\d+")
    return re.compile(text)


if __name__ == "__main__":
    sys.exit(main())
