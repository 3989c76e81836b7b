"""The directory in which the objects are."""

import errno
import os
from typing import Optional

from componentize_py_types import Err
from wit_world.imports import types

# Where the host puts the granted directory.
ROOT = "/objects"

# Bytes that are read or taken at a time.
PIECE = 1 << 18

# What leads to objects is a directory, and nothing is below an object.
MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


def path(name: str) -> str:
    return os.path.join(ROOT, name)


class using:
    """Gives a failed access the meaning that the host acts on.

    It is a class, because `contextlib` cannot pass an `Err` on, which nobody may change.
    """

    def __init__(self, name: str):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, _, cause, __):
        if isinstance(cause, MISSING):
            raise Err(types.Error_NotFound(f"{self.name} is not there"))
        if isinstance(cause, OSError):
            text = f"{self.name}: {cause.strerror}"
            if cause.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTCAPABLE):
                raise Err(types.Error_ReadOnly(text))
            if cause.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Err(types.Error_NoSpace(text))
            raise Err(types.Error_Other(text))


def size(name: str) -> Optional[int]:
    """The size of an object; none when it is not there."""
    try:
        with using(name):
            return os.stat(path(name)).st_size if os.path.isfile(path(name)) else None
    except Err as error:
        if isinstance(error.value, types.Error_NotFound):
            return None
        raise


def remove(name: str) -> None:
    """Removes an object. Fine when it is not there."""
    if os.path.isfile(path(name)):
        with using(name):
            os.remove(path(name))


def publish(aside: str, name: str) -> None:
    """Gives an object its name, for good."""
    directory = os.path.dirname(path(name))
    # Above the granted directory there is nothing, which `makedirs` would try to make.
    if not os.path.isdir(directory):
        os.makedirs(directory, exist_ok=True)
    os.rename(path(aside), path(name))
    handle = os.open(os.path.join(directory, "."), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def below(prefix: str) -> list[tuple[str, int]]:
    """The names and sizes of all objects in a directory and below, sorted. What is not whole has a name that begins with a dot."""
    found = []
    with using(prefix):
        for directory, _, names in os.walk(path(prefix)):
            for name in names:
                if not name.startswith("."):
                    file = os.path.join(directory, name)
                    found.append((os.path.relpath(file, ROOT), os.stat(file).st_size))
    return sorted(found)
