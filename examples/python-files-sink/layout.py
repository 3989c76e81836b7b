"""What is where in the store.

- `store.json`: the store's own id.
- `snapshots/ID/`: a snapshot. `entries.jsonl` has a line for each entry, `contents` the bytes of all files, one file after the other,
  and `snapshot.json` the rest.
- `partial/ID/`: a snapshot that is written. It is renamed when it is whole.
- `forgotten/ID/`: a snapshot that is not listed any more, and whose space was not reclaimed yet.
"""

import errno
import hashlib
import json
import os
import shutil
import time

from componentize_py_types import Err
from wit_world.exports import sink
from wit_world.imports import types

# Where the host puts the granted directory.
ROOT = "/store"

# Bytes that are read or taken at a time.
PIECE = 1 << 18

# What an error says of a place where nothing may be changed.
PROTECTED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTCAPABLE}


def path(*names: str) -> str:
    return "/".join((ROOT, *names))


class using:
    """Gives a failed access to something in the store the meaning that the host acts on.

    It is a class, because `contextlib` cannot pass an `Err` on, which nobody may change.
    """

    def __init__(self, name: str):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, _, cause, __):
        if isinstance(cause, FileNotFoundError):
            raise Err(types.Error_Corrupt(f"{self.name} is missing"))
        if isinstance(cause, OSError):
            text = f"{self.name}: {cause.strerror}"
            if cause.errno in PROTECTED:
                raise Err(types.Error_ReadOnly(text))
            if cause.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Err(types.Error_NoSpace(text))
            raise Err(types.Error_Other(text))


def sync(*names: str) -> None:
    """Sees to it that what was made in a directory is there for good."""
    with using("/".join(names)):
        directory = os.open(path(*names), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def names(directory: str) -> list[str]:
    with using(directory):
        return sorted(os.listdir(path(directory)))


def remove(*names: str) -> None:
    """Removes a directory with all that is in it. Fine when it is not there."""
    try:
        with using("/".join(names)):
            shutil.rmtree(path(*names))
    except Err as error:
        if not isinstance(error.value, types.Error_Corrupt):
            raise


def size(*names: str) -> tuple[int, int]:
    """The files in a directory, and their bytes."""
    with using("/".join(names)):
        sizes = [entry.stat().st_size for entry in os.scandir(path(*names))]
    return len(sizes), sum(sizes)


def seal(name: str, content) -> None:
    """Writes something to a file that tells whether it is damaged, for good."""
    text = json.dumps(content)
    digest = hashlib.sha256(text.encode()).hexdigest()
    with using(name), open(path(name), "w") as file:
        file.write(f"{digest} {text}\n")
        file.flush()
        os.fsync(file.fileno())


def unseal(name: str):
    """Reads what was sealed."""
    with using(name), open(path(name), "rb") as file:
        line = file.read()
    digest, _, text = line.partition(b" ")
    if hashlib.sha256(text[:-1]).hexdigest().encode() != digest or not text.endswith(b"\n"):
        raise Err(types.Error_Corrupt(f"{name} is damaged"))
    return json.loads(text)


def text(error: Err) -> str:
    return error.value.value


def probe() -> sink.Rights:
    """Finds out what can be done, by doing it."""
    name = path(f".probe-{os.urandom(8).hex()}")
    yes, no, unknown = sink.Answer.YES, sink.Answer.NO, sink.Answer.UNKNOWN

    def may(work) -> sink.Answer:
        try:
            work()
            return yes
        except OSError as cause:
            if cause.errno in PROTECTED:
                return no
            raise

    def write(mode: str):
        with open(name, mode) as file:
            file.write("probe")

    def read():
        with open(name) as file:
            file.read()

    with using("the store"):
        put = may(lambda: write("x"))
        listed = may(lambda: os.listdir(ROOT))
        is_there = put is yes
        get = may(read) if is_there else unknown
        overwrite = may(lambda: write("w")) if is_there else unknown
        delete = may(lambda: os.remove(name)) if is_there else unknown
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return sink.Rights(
        put=put,
        get=get,
        list=listed,
        delete=delete,
        overwrite=overwrite,
        put_if_absent=put,
        versioned=no,
        object_lock=no,
        found=types.Instant(seconds, nanoseconds),
        notes=[],
    )
