"""A source that backs up a SQLite database: what `sqlite3 FILE .dump` prints, and nothing that it does not vouch for.

The operator grants the program with the file, so this plugin can neither choose another file nor write to it.
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
        "name": {
            "type": "string",
            "description": "The name of the database: its dump is /NAME.sql.",
            "pattern": "^[A-Za-z0-9_-]{1,64}$",
        },
    },
    "required": ["name"],
}


class Plugin(exports.Plugin):
    def describe(self) -> plugin.Description:
        return plugin.Description(
            name="python-sqlite-source",
            version="0.1.0",
            summary="Backs up a SQLite database as SQL",
            config_schema=json.dumps(SCHEMA),
            needs=[
                plugin.Need(
                    resource=plugin.ResourceKind_Command(),
                    name="sqlite3",
                    optional=False,
                    reason="It prints the database as SQL.",
                )
            ],
        )


class Source(exports.Source):
    async def open(self, caller: types.Caller, config: str) -> source.Capture:
        name = json.loads(config)["name"] + ".sql"
        return source.Capture(paths=["/" + name], reader=transfer.Reader(caller, name))

    async def restore(self, caller, config, restoration):
        raise Err(
            types.Error_Unsupported(
                "it cannot restore in place: give --to DIRECTORY, and feed the file to sqlite3"
            )
        )
