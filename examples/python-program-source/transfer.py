"""The tree of an export: one file, whose size nobody knows before it is read."""

import time
from typing import Optional

from componentize_py_async_support import spawn
from componentize_py_types import Err, Ok
from wit_world import byte_stream, result_types_ending_types_error_future
from wit_world.exports import transfer
from wit_world.imports import commands, types

# Bytes that are taken at a time.
PIECE = 1 << 18


class Reader(transfer.Reader):
    def __init__(self, caller: types.Caller, name: str):
        self.caller = caller
        self.name = name
        self.is_given = False

    def concurrency(self, wanted: int) -> int:
        return 1

    async def next(self, max: int) -> list[types.Entry]:
        if self.is_given:
            return []
        self.is_given = True
        seconds, nanoseconds = divmod(time.time_ns(), 10**9)
        metadata = types.Metadata(
            mode=0o600,
            uid=self.caller.user_id,
            gid=self.caller.group_id,
            user=self.caller.username,
            group=None,
            modified=types.Instant(seconds, nanoseconds),
            accessed=None,
            changed=None,
            device=0,
            inode=0,
            links=1,
            xattrs=[],
        )
        return [
            types.Entry(
                id=1,
                parent=0,
                name=self.name.encode(),
                kind=types.Kind_File(None),
                metadata=metadata,
                subtree=None,
            )
        ]

    async def read_small(self, ids: list[int]) -> list[types.Contents]:
        raise Err(types.Error_Other("nobody knows the size of an export beforehand"))

    async def read(self, id: int, range: Optional[transfer.Range]):
        if range is not None:
            raise Err(types.Error_Unsupported("an export is read whole"))
        process = await commands.spawn("export", [], None)
        pipe, stream = byte_stream()
        # A stream that ends says nothing. Only this future does, and it is bad unless somebody says otherwise.
        tell, verdict = result_types_ending_types_error_future(
            lambda: Err(types.Error_Cancelled("the export was given up"))
        )
        spawn(hand_on(process, pipe, tell))
        return stream, verdict

    @classmethod
    async def finish(cls, this) -> types.Completeness:
        # The verdict on the one file is the verdict on all.
        return types.Completeness.COMPLETE


class Writer(transfer.Writer):
    """Nothing is restored, so there is none."""


async def hand_on(process, pipe, tell) -> None:
    """Hands a program's output on, and says of it what the program's exit code says. A program that writes nothing has seldom done what it should."""
    with process:
        output, came_through = process.stdout()
        is_empty = True
        with pipe, output:
            while not output.writer_dropped and not pipe.reader_dropped:
                piece = await output.read(PIECE)
                is_empty = is_empty and not piece
                await pipe.write_all(piece)
        given_up = pipe.reader_dropped
        if given_up:
            process.kill()
        ended = await came_through.read()
        exit = await process.wait()
        await tell.write(verdict(given_up, ended, exit, is_empty))


def verdict(given_up, ended, exit, is_empty):
    if given_up:
        return Err(types.Error_Cancelled("nobody reads the export any more"))
    if isinstance(ended, Err):
        return ended
    if exit.code != 0:
        how = f"signal {exit.signal}" if exit.code is None else f"exit code {exit.code}"
        return Err(types.Error_Other(f"the program failed ({how}): {exit.stderr_tail.strip()}"))
    if is_empty:
        return Err(types.Error_Other("the program wrote nothing"))
    return Ok(types.Ending.WHOLE)
