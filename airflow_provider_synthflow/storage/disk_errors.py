# SPDX-License-Identifier: Apache-2.0
"""A local disk's errors: which directory, and whether a person must act or a retry helps."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from typing import IO, TYPE_CHECKING

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowTransientError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

__all__ = ["open_temporary_file", "typed_disk_errors", "typed_temporary_errors"]

_ELSEWHERE = "use a directory that every worker can write to, or an object store"


_FIXABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENOENT,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
    errno.EFBIG,
}
_CURES = {
    errno.ENOSPC: ("its disk is full", "Free space there, or {elsewhere}."),
    errno.EDQUOT: ("this user's quota of its disk is used up", "Raise the quota, or {elsewhere}."),
    errno.EMFILE: ("too many files are open in this process", "Raise the worker's limit (ulimit -n)."),
    errno.ENFILE: ("too many files are open on this machine", "Raise the machine's limit (fs.file-max)."),
}


def open_temporary_file() -> IO[bytes]:
    """Open a temporary file without a name (mode 0600), which ends with the process."""
    with typed_temporary_errors():
        return tempfile.TemporaryFile(prefix="synthflow-")


def typed_temporary_errors() -> AbstractContextManager[None]:
    """Turn the errors of the disk of temporary files into errors of this package."""
    try:
        where = f"The temporary directory {tempfile.gettempdir()}"
    except OSError:  # none can be written
        where = "The temporary directory"
    return typed_disk_errors(where, elsewhere="set TMPDIR to a directory on another disk that this worker can write")


@contextlib.contextmanager
def typed_disk_errors(where: str, *, elsewhere: str = _ELSEWHERE) -> Iterator[None]:
    """Turn a disk's errors into errors of this package."""
    try:
        yield
    except OSError as error:
        if error.errno is None or hasattr(error, "response"):
            raise  # of another library, not of the disk
        what, cure = _CURES.get(error.errno, (os.strerror(error.errno), "Check that disk, and run the task again."))
        if error.errno in _FIXABLE:
            msg = f"{where} cannot be written: {what}. {elsewhere[0].upper()}{elsewhere[1:]}."
            raise SynthflowConfigError(msg) from None
        msg = f"{where} cannot be written: {what}. {cure.format(elsewhere=elsewhere)}"
        raise SynthflowTransientError(msg) from None
