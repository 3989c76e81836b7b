"""An entry as a line of a snapshot's list. Names are bytes: each stands in the line as the character of its number."""

import json

from wit_world.imports import types

KINDS = {
    "directory": types.Kind_Directory,
    "fifo": types.Kind_Fifo,
    "socket": types.Kind_Socket,
    "character-device": types.Kind_CharacterDevice,
    "block-device": types.Kind_BlockDevice,
}


def text(value: bytes) -> str:
    return value.decode("latin-1")


def octets(value: str) -> bytes:
    return value.encode("latin-1")


def record(path: bytes, entry: types.Entry) -> dict:
    """All of an entry but the contents of a file, with its path in place of its numbers."""
    kind, value = entry.kind, None
    if isinstance(kind, types.Kind_File):
        name = "file"
    elif isinstance(kind, types.Kind_Symlink):
        name, value = "symlink", text(kind.value)
    else:
        name = next(name for name, class_ in KINDS.items() if isinstance(kind, class_))
        value = getattr(kind, "value", None)
    metadata = entry.metadata

    def moment(time):
        return time and [time.seconds, time.nanoseconds]

    return {
        "path": text(path),
        "kind": name,
        "value": value,
        "mode": metadata.mode,
        "uid": metadata.uid,
        "gid": metadata.gid,
        "user": metadata.user,
        "group": metadata.group,
        "modified": moment(metadata.modified),
        "accessed": moment(metadata.accessed),
        "changed": moment(metadata.changed),
        "device": metadata.device,
        "inode": metadata.inode,
        "links": metadata.links,
        "xattrs": [[text(xattr.name), text(xattr.value)] for xattr in metadata.xattrs],
    }


def line(record: dict) -> bytes:
    return json.dumps(record).encode() + b"\n"


def entry(record: dict, id: int, parent: int) -> types.Entry:
    """The entry that a record is of, with numbers."""
    kind = record["kind"]
    if kind == "file":
        what = types.Kind_File(record["size"])
    elif kind == "symlink":
        what = types.Kind_Symlink(octets(record["value"]))
    elif record["value"] is None:
        what = KINDS[kind]()
    else:
        what = KINDS[kind](record["value"])

    def moment(time):
        return time and types.Instant(*time)

    return types.Entry(
        id=id,
        parent=parent,
        name=octets(record["path"]).rsplit(b"/", 1)[1],
        kind=what,
        metadata=types.Metadata(
            mode=record["mode"],
            uid=record["uid"],
            gid=record["gid"],
            user=record["user"],
            group=record["group"],
            modified=moment(record["modified"]),
            accessed=moment(record["accessed"]),
            changed=moment(record["changed"]),
            device=record["device"],
            inode=record["inode"],
            links=record["links"],
            xattrs=[types.Xattr(octets(name), octets(value)) for name, value in record["xattrs"]],
        ),
        subtree=None,
    )
