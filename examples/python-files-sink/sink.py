"""An open store: the resource of the interface `sink`."""

import hashlib
import os
import time

from componentize_py_types import Err
from wit_world.exports import sink
from wit_world.imports import leftovers, types

import layout
import snapshots
import transfer


class Repository(sink.Repository):
    def __init__(self, id: str):
        self.id = id

    @classmethod
    async def open(cls, caller: types.Caller, config: str, access: types.Access):
        if not os.path.exists(layout.path("store.json")):
            raise Err(types.Error_NotFound("the directory has no store of this plugin"))
        id = layout.unseal("store.json")
        if access == types.Access.READ_WRITE:
            # Snapshots that were never committed, because their process was cut off.
            for name in await leftovers.left():
                layout.remove("partial", name)
                await leftovers.clear(name)
        return cls(id)

    @classmethod
    async def create(cls, caller: types.Caller, config: str):
        if os.path.exists(layout.path("store.json")):
            raise Err(types.Error_Exists("the directory has a store of this plugin already"))
        for name in ("snapshots", "partial", "forgotten"):
            with layout.using(name):
                os.makedirs(layout.path(name), exist_ok=True)
        id = os.urandom(16).hex()
        layout.seal("store.json", id)
        layout.sync(".")
        return cls(id)

    def identity(self) -> sink.Identity:
        return sink.Identity(id=self.id, version=1)

    async def begin(self, draft: sink.Draft) -> transfer.Writer:
        shown = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime(draft.time.seconds))
        id = f"{os.urandom(4).hex()}-{shown}"
        if not draft.dry_run:
            await leftovers.note(id)
        return transfer.Writer(id, draft)

    async def snapshots(self) -> list[sink.Snapshot]:
        listed = [snapshots.listed(id) for id in layout.names("snapshots")]
        return sorted(listed, key=lambda one: (one.time.seconds, one.time.nanoseconds, one.id))

    async def read(self, selection: sink.Selection) -> transfer.Reader:
        ids = [id for id in layout.names("snapshots") if id.startswith(selection.snapshot)]
        if len(ids) != 1:
            found = "several snapshots begin" if ids else "no snapshot begins"
            raise Err(types.Error_NotFound(f"{found} with {selection.snapshot}"))
        return transfer.Reader(ids[0], selection)

    async def usage(self, subset: sink.Subset) -> sink.Usage:
        sizes = []
        for id in layout.names("snapshots"):
            try:
                stored = snapshots.files(id)
                sizes += [file["size"] for file in stored if holds(subset, id, file)]
            except Err:
                # A check tells of it.
                continue
        return sink.Usage(objects=len(sizes), bytes=sum(sizes))

    async def check(self, depth: sink.Depth) -> sink.Findings:
        findings, objects, bytes_read = [], 0, 0
        ids = layout.names("snapshots")
        for id in ids:
            try:
                for file in snapshots.files(id):
                    objects += 1
                    wanted = isinstance(depth, sink.Depth_Data) and holds(depth.value, id, file)
                    if wanted:
                        bytes_read += sum(map(len, snapshots.contents(id, file)))
                    else:
                        snapshots.expect_room(id, file)
            except Err as error:
                what = layout.text(error)
                findings.append(sink.Finding(sink.Severity.ERROR, what, [id], []))
        return sink.Findings(findings, len(ids), objects, bytes_read)

    async def forget(self, ids: list[str]) -> None:
        missing = set(ids) - set(layout.names("snapshots"))
        if missing:
            raise Err(types.Error_NotFound(f"there is no snapshot {sorted(missing)[0]}"))
        for id in ids:
            with layout.using(id):
                os.rename(layout.path("snapshots", id), layout.path("forgotten", id))
        layout.sync("forgotten")
        layout.sync("snapshots")

    async def reclaim(self, options: sink.ReclaimOptions, dry_run: bool) -> sink.Reclaimed:
        assumed = set(options.assume_forgotten)
        forgotten = [("forgotten", id) for id in layout.names("forgotten")]
        kept = [("snapshots", id) for id in layout.names("snapshots") if id not in assumed]
        gone = forgotten + [("snapshots", id) for id in sorted(assumed)]
        sizes = [layout.size(*place) for place in gone]
        if not dry_run:
            for place in forgotten:
                layout.remove(*place)
        return sink.Reclaimed(
            objects_removed=sum(files for files, _ in sizes),
            bytes_removed=sum(bytes for _, bytes in sizes),
            objects_written=0,
            bytes_written=0,
            bytes_left=sum(layout.size(*place)[1] for place in kept),
            bytes_unused=0,
        )

    @classmethod
    async def close(cls, this) -> None:
        """There is nothing to give up: a writer removes what it has not committed."""


def holds(subset: sink.Subset, id: str, file: dict) -> bool:
    """Whether the contents of a file are among these objects."""
    name = f"{id}/{file['offset']}/{file['path']}"
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    if subset.first <= subset.last:
        return subset.first <= place <= subset.last
    return place >= subset.first or place <= subset.last
