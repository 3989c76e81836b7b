"""Trees on their way in and out: the resources of the interface `transfer`."""

import hashlib
import os
from typing import Optional

from componentize_py_async_support import spawn
from componentize_py_types import Err, Ok
from wit_world import byte_stream, result_types_ending_types_error_future
from wit_world.exports import sink, transfer
from wit_world.imports import leftovers, log, types

import layout
import records
import snapshots


class Paths:
    """The paths of entries that come depth first."""

    def __init__(self):
        self.above = [(0, b"")]

    def enter(self, entry: types.Entry) -> bytes:
        while self.above[-1][0] != entry.parent:
            self.above.pop()
        path = self.above[-1][1] + b"/" + entry.name
        if isinstance(entry.kind, types.Kind_Directory):
            self.above.append((entry.id, path))
        return path


class Writer(transfer.Writer):
    """A snapshot that is written beside its place, until all of it is there."""

    def __init__(self, id: str, draft: sink.Draft):
        self.id = id
        self.draft = draft
        self.paths = Paths()
        # The entries of this batch by their numbers, until their contents are there.
        self.batch: dict[int, dict] = {}
        self.files = self.directories = self.length = 0
        self.digest = hashlib.sha256()
        self.is_failed = False
        self.list = self.contents = None
        if not draft.dry_run:
            with layout.using(self.place()):
                os.mkdir(layout.path(self.place()))
                self.list = open(layout.path(self.place("entries.jsonl")), "wb")
                self.contents = open(layout.path(self.place("contents")), "wb")

    def place(self, *names: str) -> str:
        return "/".join(("partial", self.id, *names))

    def concurrency(self, wanted: int) -> int:
        # The contents of all files are in one file, one after the other.
        return 1

    async def offer(self, entries: list[types.Entry]) -> list[int]:
        self.write_batch()
        for entry in entries:
            record = records.record(self.paths.enter(entry), entry)
            self.directories += record["kind"] == "directory"
            self.batch[entry.id] = record
        return [id for id, record in self.batch.items() if record["kind"] == "file"]

    async def put_small(self, files: list[types.Small]) -> None:
        for file in files:
            if isinstance(file.contents, types.Contents_Omitted):
                del self.batch[file.id]
                continue
            self.settle(file.id, self.length, hashlib.sha256(file.contents.value))
            self.store(file.contents.value)
            self.batch[file.id]["size"] = len(file.contents.value)

    async def put(self, id: int, contents, verdict) -> None:
        offset, digest = self.length, hashlib.sha256()
        # Whatever goes wrong from here on, the snapshot is worth nothing.
        self.is_failed = True
        with contents, verdict:
            while not contents.writer_dropped:
                piece = await contents.read(layout.PIECE)
                digest.update(piece)
                self.store(piece)
            ending = await verdict.read()
        if isinstance(ending, Err):
            raise ending
        self.is_failed = False
        if ending.value == types.Ending.OMITTED:
            del self.batch[id]
            return
        self.settle(id, offset, digest)
        self.batch[id]["size"] = self.length - offset

    def store(self, piece: bytes) -> None:
        self.length += len(piece)
        if self.contents:
            with layout.using(self.place("contents")):
                self.contents.write(piece)

    def settle(self, id: int, offset: int, digest) -> None:
        self.batch[id] |= {"offset": offset, "sha256": digest.hexdigest()}

    def write_batch(self) -> None:
        """Writes the entries down whose contents are all there."""
        for record in self.batch.values():
            if record["kind"] == "file":
                if "sha256" not in record:
                    raise Err(types.Error_Other(f"the contents of {record['path']} never came"))
                self.files += 1
            line = records.line(record)
            self.digest.update(line)
            if self.list:
                with layout.using(self.place("entries.jsonl")):
                    self.list.write(line)
        self.batch = {}

    @classmethod
    async def commit(cls, this, completeness: types.Completeness) -> transfer.Receipt:
        if this.is_failed:
            raise Err(types.Error_Other("contents have failed"))
        this.write_batch()
        draft = this.draft
        if not draft.dry_run:
            for file in (this.list, this.contents):
                with layout.using(this.place()), file:
                    file.flush()
                    os.fsync(file.fileno())
            description = {
                "time": [draft.time.seconds, draft.time.nanoseconds],
                "hostname": draft.hostname,
                "username": draft.username,
                "tags": draft.tags,
                "paths": draft.paths,
                "complete": completeness == types.Completeness.COMPLETE,
                "files": this.files,
                "bytes": this.length,
                "entries": this.digest.hexdigest(),
            }
            layout.seal(this.place("snapshot.json"), description)
            layout.sync(this.place())
            with layout.using(this.id):
                os.rename(layout.path(this.place()), layout.path("snapshots", this.id))
            layout.sync("snapshots")
            await leftovers.clear(this.id)

        def new(count: int) -> transfer.Counts:
            return transfer.Counts(new=count, changed=0, unmodified=0)

        return transfer.Receipt(
            snapshot=None if draft.dry_run else this.id,
            files=new(this.files),
            directories=new(this.directories),
            objects_added=this.files,
            bytes_added=this.length,
            bytes_stored=this.length,
            bytes_total=this.length,
            removed=0,
            failed=0,
        )

    def __del__(self):
        # It is not there any more once it was committed. What stays, the next opening removes.
        if not self.draft.dry_run:
            layout.remove("partial", self.id)


class Reader(transfer.Reader):
    """A snapshot that is read."""

    def __init__(self, id: str, selection: sink.Selection):
        self.id = id
        self.selection = selection
        self.paths = [names(path) for path in selection.paths] or [[]]
        description = snapshots.describe(id)
        self.is_complete = description["complete"]
        self.entries = snapshots.entries(id, description)
        # The directories that lead to the entry that comes next: their paths and numbers.
        self.above = [(b"", 0)]
        self.last = 0
        # The files of the last two batches, by their numbers.
        self.before: dict[int, dict] = {}
        self.now: dict[int, dict] = {}

    def concurrency(self, wanted: int) -> int:
        return 1

    async def next(self, max: int) -> list[types.Entry]:
        self.before, self.now = self.now, {}
        batch = []
        for record in self.entries:
            path = records.octets(record["path"])
            if not self.takes(path, record["kind"] == "directory"):
                continue
            self.last += 1
            above = path.rsplit(b"/", 1)[0]
            while self.above[-1][0] != above:
                self.above.pop()
            batch.append(records.entry(record, self.last, self.above[-1][1]))
            if record["kind"] == "directory":
                self.above.append((path, self.last))
            elif record["kind"] == "file":
                self.now[self.last] = record
            if len(batch) == max:
                break
        return batch

    def takes(self, path: bytes, is_directory: bool) -> bool:
        """Whether this is at or below what was selected, not too deep, or a directory on the way there."""
        path, levels = names(path), self.selection.levels
        for selected in self.paths:
            if len(path) < len(selected):
                if is_directory and selected[: len(path)] == path:
                    return True
            elif path[: len(selected)] == selected:
                if levels is None or len(path) - len(selected) <= levels:
                    return True
        return False

    def file(self, id: int) -> dict:
        return self.now.get(id) or self.before[id]

    def omit(self, error: Err) -> None:
        """Leaves contents out that are damaged, where that is wanted."""
        if not self.selection.skip_damaged or not isinstance(error.value, types.Error_Corrupt):
            raise error
        log.log(log.Level.WARN, layout.text(error))
        self.is_complete = False

    async def read_small(self, ids: list[int]) -> list[types.Contents]:
        answers = []
        for id in ids:
            try:
                whole = b"".join(snapshots.contents(self.id, self.file(id)))
                answers.append(types.Contents_Whole(whole))
            except Err as error:
                self.omit(error)
                answers.append(types.Contents_Omitted())
        return answers

    async def read(self, id: int, range: Optional[transfer.Range]):
        pipe, stream = byte_stream()
        # A stream that ends says nothing. Only this future does, and it is bad unless somebody says otherwise.
        tell, verdict = result_types_ending_types_error_future(
            lambda: Err(types.Error_Cancelled("the contents were given up"))
        )
        spawn(self.give(self.file(id), range, pipe, tell))
        return stream, verdict

    async def give(self, file: dict, range: Optional[transfer.Range], pipe, tell) -> None:
        """Gives contents, or a part of them, and says whether all of them are what was stored."""
        first = range.offset if range else 0
        end = first + range.length if range else file["size"]
        answer, offset = Ok(types.Ending.WHOLE), 0
        try:
            with pipe:
                for piece in snapshots.contents(self.id, file):
                    part = piece[max(first - offset, 0) : max(end - offset, 0)]
                    offset += len(piece)
                    if part:
                        await pipe.write_all(part)
                    if pipe.reader_dropped:
                        answer = Err(types.Error_Cancelled("nobody reads the contents any more"))
                        break
        except Err as error:
            try:
                self.omit(error)
                answer = Ok(types.Ending.OMITTED)
            except Err as error:
                answer = error
        await tell.write(answer)

    @classmethod
    async def finish(cls, this) -> types.Completeness:
        if this.is_complete:
            return types.Completeness.COMPLETE
        return types.Completeness.INCOMPLETE


def names(path: bytes) -> list[bytes]:
    return [name for name in path.split(b"/") if name]
