"""Files that a reader sees whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile


def write_atomically(path: str, content: bytes, *, durable: bool) -> None:
    """Replaces ``path``, readable by its owner only.

    ``durable`` waits for the disk before the rename, so that even a machine that loses its power
    never shows a name without its content.
    """
    directory, name = os.path.split(os.path.abspath(path))
    # `mkstemp` creates with mode 0600 and a name of its own, so that writers in several processes
    # of one job never share a temporary file.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
