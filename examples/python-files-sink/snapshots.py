"""A snapshot that is stored: what is known of it, its entries and their contents."""

import hashlib
import json
import os
from collections.abc import Iterator

from componentize_py_types import Err
from wit_world.exports import sink
from wit_world.imports import types

import layout


def describe(id: str) -> dict:
    return layout.unseal(f"snapshots/{id}/snapshot.json")


def listed(id: str) -> sink.Snapshot:
    """As it stands in the list. One that is damaged keeps nobody from the others."""
    known = dict(id=id, program=None, bytes_added=None, bytes_stored=None)
    try:
        said = describe(id)
    except Err as error:
        return sink.Snapshot(
            time=types.Instant(0, 0),
            hostname="",
            username="",
            tags=[],
            paths=[],
            files=None,
            bytes=None,
            damaged=layout.text(error),
            **known,
        )
    return sink.Snapshot(
        time=types.Instant(*said["time"]),
        hostname=said["hostname"],
        username=said["username"],
        tags=said["tags"],
        paths=said["paths"],
        files=said["files"],
        bytes=said["bytes"],
        damaged=None,
        **known,
    )


def entries(id: str, description: dict) -> Iterator[dict]:
    """The lines of the list, if they are the ones that were stored."""
    name = f"snapshots/{id}/entries.jsonl"
    digest = hashlib.sha256()
    with layout.using(name):
        file = open(layout.path(name), "rb")
    with file:
        with layout.using(name):
            while piece := file.read(layout.PIECE):
                digest.update(piece)
            file.seek(0)
        if digest.hexdigest() != description["entries"]:
            raise Err(types.Error_Corrupt(f"{name} is damaged"))
        for line in file:
            yield json.loads(line)


def files(id: str) -> Iterator[dict]:
    return (record for record in entries(id, describe(id)) if record["kind"] == "file")


def expect_room(id: str, file: dict) -> None:
    """Fails unless the contents of a file can be there."""
    name = f"snapshots/{id}/contents"
    with layout.using(name):
        length = os.stat(layout.path(name)).st_size
    if length < file["offset"] + file["size"]:
        raise Err(types.Error_Corrupt(f"{name} is too short"))


def contents(id: str, file: dict) -> Iterator[bytes]:
    """The contents of a file, piece by piece. Fails at the end unless they are what was stored."""
    name, left, digest = f"snapshots/{id}/contents", file["size"], hashlib.sha256()
    with layout.using(name):
        stored = open(layout.path(name), "rb")
    with stored:
        stored.seek(file["offset"])
        while left > 0:
            with layout.using(name):
                piece = stored.read(min(layout.PIECE, left))
            if not piece:
                break
            left -= len(piece)
            digest.update(piece)
            yield piece
    if digest.hexdigest() != file["sha256"]:
        raise Err(types.Error_Corrupt(f"the contents of {file['path']} are damaged"))
