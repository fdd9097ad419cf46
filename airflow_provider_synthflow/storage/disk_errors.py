# SPDX-License-Identifier: Apache-2.0
"""What a local disk's error means, and of which directory: something that a person mends, or something that passes."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from typing import TYPE_CHECKING

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowTransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["name_temporary_directory", "typed_disk_errors"]

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
    errno.ENOSPC: ("its disk is full", "Free space there, or name a directory on another disk."),
    errno.EDQUOT: ("this user's quota of its disk is used up", "Free space there, or raise the quota."),
    errno.EMFILE: ("too many files are open in this process", "Raise the worker's limit (ulimit -n)."),
    errno.ENFILE: ("too many files are open on this machine", "Raise the machine's limit (fs.file-max)."),
}


def name_temporary_directory() -> str:
    """Return how an error names the directory of temporary files."""
    try:
        return f"the temporary directory {tempfile.gettempdir()}"
    except OSError:  # none can be written
        return "the temporary directory"


@contextlib.contextmanager
def typed_disk_errors(where: str) -> Iterator[None]:
    """
    Raise a disk's errors as errors of this package.

    :param where: which directory it is, for the text, such as ``output_path /lake``
    :raises SynthflowConfigError: for what a person has to mend
    :raises SynthflowTransientError: for what may pass, such as a full disk
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or hasattr(error, "response"):
            raise  # of another library, not of the disk
        what, cure = _CURES.get(error.errno, (os.strerror(error.errno), ""))
        if error.errno in _FIXABLE:
            cure = "Name a directory that every worker can write, or an object store."
            if where.startswith("the temporary"):
                cure = "Set TMPDIR to a directory that this worker can write."
            msg = f"{where} cannot be written: {what}. {cure}"
            raise SynthflowConfigError(msg) from None
        msg = f"{where} cannot be written: {what}. {cure or 'See to that disk, and run the task again.'}"
        raise SynthflowTransientError(msg) from None
