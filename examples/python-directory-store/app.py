"""A store of objects: files in a directory, one for each object. A sink makes a repository of them."""

import json
import os
from typing import Optional

from componentize_py_async_support import spawn
from componentize_py_types import Err, Ok
from wit_world import byte_stream, exports, result_unit_types_error_future
from wit_world.exports import objects, plugin
from wit_world.imports import leftovers, types

import files

SCHEMA = {"type": "object", "additionalProperties": False, "properties": {}}

# Objects that a page of a listing has at most.
PAGE = 1000


class Plugin(exports.Plugin):
    def describe(self) -> plugin.Description:
        return plugin.Description(
            name="python-directory-store",
            version="0.1.0",
            summary="Stores objects as files in a directory",
            config_schema=json.dumps(SCHEMA),
            needs=[
                plugin.Need(
                    resource=plugin.ResourceKind_Directory(types.Access.READ_WRITE),
                    name="objects",
                    optional=False,
                    reason="It holds the objects.",
                )
            ],
        )


class Store(exports.Store):
    async def open(self, config: str, access: types.Access) -> None:
        if access == types.Access.READ_WRITE:
            # Objects that never became whole, because their process was cut off.
            for name in await leftovers.left():
                files.remove(name)
                await leftovers.clear(name)

    async def create(self) -> None:
        """The operator has made the directory."""

    async def close(self) -> None:
        """There is nothing to end."""


class Objects(exports.Objects):
    async def put(self, name: str, size: int, existing: objects.Existing, body) -> None:
        if existing == objects.Existing.KEPT and files.size(name) is not None:
            raise Err(types.Error_Exists(f"{name} is there already"))
        # Beside its place first, under a name that no object has.
        aside = f".partial-{os.urandom(8).hex()}"
        await leftovers.note(aside)
        try:
            stream, verdict = body
            with stream, verdict, files.using(name):
                with open(files.path(aside), "wb") as file:
                    while not stream.writer_dropped:
                        file.write(await stream.read(files.PIECE))
                    ended = await verdict.read()
                    if isinstance(ended, Err):
                        raise ended
                    if file.tell() != size:
                        raise Err(types.Error_Other(f"{name} has not {size} bytes"))
                    file.flush()
                    os.fsync(file.fileno())
                files.publish(aside, name)
        finally:
            # It is not there any more when it has got its name.
            files.remove(aside)
            await leftovers.clear(aside)

    async def get(self, name: str, part: Optional[objects.Part]):
        size = files.size(name)
        if size is None:
            raise Err(types.Error_NotFound(f"{name} is not there"))
        offset, length = (part.offset, part.length) if part else (0, size)
        if offset + length > size:
            raise Err(types.Error_Corrupt(f"{name} ends before that part"))
        pipe, stream = byte_stream()
        # A stream that ends says nothing. Only this future does, and it is bad unless somebody says otherwise.
        tell, verdict = result_unit_types_error_future(
            lambda: Err(types.Error_Cancelled("the object was given up"))
        )
        spawn(give(name, offset, length, pipe, tell))
        return stream, verdict

    async def list(self, prefix: str, after: Optional[str]) -> objects.Page:
        found = [(name, size) for name, size in files.below(prefix) if not after or name > after]
        page = [objects.Object(name, size) for name, size in found[:PAGE]]
        return objects.Page(page, page[-1].name if len(found) > PAGE else None)

    async def stat(self, name: str) -> Optional[objects.ObjectStat]:
        size = files.size(name)
        return None if size is None else objects.ObjectStat(size, None)

    async def remove(self, name: str) -> None:
        files.remove(name)


async def give(name: str, offset: int, length: int, pipe, tell) -> None:
    """Gives a part of an object, and says whether that is all of it."""
    answer = Ok(None)
    try:
        with pipe, files.using(name), open(files.path(name), "rb") as file:
            file.seek(offset)
            while length > 0 and not pipe.reader_dropped:
                piece = file.read(min(files.PIECE, length))
                if not piece:
                    raise Err(types.Error_Corrupt(f"{name} ends before that part"))
                length -= len(piece)
                await pipe.write_all(piece)
            if pipe.reader_dropped:
                answer = Err(types.Error_Cancelled("nobody reads the object any more"))
    except Err as error:
        answer = error
    await tell.write(answer)
