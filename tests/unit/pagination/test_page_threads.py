# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from airflow_provider_synthflow.pagination.page_threads import share_one_heap

HEAPS = """
import ctypes, sys, threading
sys.modules["airflow"] = None  # which the core does without, and which takes seconds to load
from airflow_provider_synthflow.pagination.page_threads import share_one_heap
if sys.argv[1] == "shared":
    share_one_heap()
threads, held, done = [], [], threading.Barrier(9)
def hold():
    held.append(bytearray(100_000))
    done.wait()
for _ in range(8):
    threads.append(threading.Thread(target=hold))
    threads[-1].start()
done.wait()
sys.stdout.flush()
ctypes.CDLL(None).malloc_info(0, ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stdout"))
"""


def heaps(word):
    """Return how many heaps a process with eight threads has."""
    done = subprocess.run([sys.executable, "-c", HEAPS, word], capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has heaps for threads")
def test_threads_share_one_heap_that_would_have_several():
    assert heaps("own") > 2
    assert heaps("shared") == 1


def test_another_library_is_left_alone(mocker):
    mocker.patch.object(platform, "libc_ver", return_value=("", ""))

    assert share_one_heap.__wrapped__() is False
