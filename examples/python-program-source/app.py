"""A source that backs up what the granted program `export` writes, as one file.

The operator grants the program with its first arguments, so this plugin cannot choose another.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import plugin, source
from wit_world.imports import types

import transfer

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "file": {
            "type": "string",
            "description": "What the file is called in a snapshot, for example export.json.",
            "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$",
        },
    },
    "required": ["file"],
}


class Plugin(exports.Plugin):
    def describe(self) -> plugin.Description:
        return plugin.Description(
            name="python-program-source",
            version="0.1.0",
            summary="Backs up what a program writes",
            config_schema=json.dumps(SCHEMA),
            needs=[
                plugin.Need(
                    resource=plugin.ResourceKind_Command(),
                    name="export",
                    optional=False,
                    reason="It writes what is backed up.",
                )
            ],
        )


class Source(exports.Source):
    async def open(self, caller: types.Caller, config: str) -> source.Capture:
        file = json.loads(config)["file"]
        return source.Capture(paths=["/" + file], reader=transfer.Reader(caller, file))

    async def restore(self, caller, config, restoration):
        raise Err(types.Error_Unsupported("it cannot restore in place: give --to DIRECTORY"))
