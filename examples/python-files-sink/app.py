"""A sink that keeps each snapshot in a directory of its own: a list of its entries, and their contents one after the other.

Nothing is encrypted, and what did not change is stored again. `layout.py` says what is where.
"""

import json

from wit_world import exports
from wit_world.exports import plugin
from wit_world.imports import types

import layout
import sink

SCHEMA = {"type": "object", "additionalProperties": False, "properties": {}}


class Plugin(exports.Plugin):
    def describe(self) -> plugin.Description:
        return plugin.Description(
            name="python-files-sink",
            version="0.1.0",
            summary="Stores each snapshot as a list and a file in a directory",
            config_schema=json.dumps(SCHEMA),
            needs=[
                plugin.Need(
                    resource=plugin.ResourceKind_Directory(types.Access.READ_WRITE),
                    name="store",
                    optional=False,
                    reason="It holds the snapshots.",
                )
            ],
        )


class Sink(exports.Sink):
    async def probe(self, config: str):
        return layout.probe()


class Transfer(exports.Transfer):
    """Its resources are in the module `transfer`."""


Repository = sink.Repository
