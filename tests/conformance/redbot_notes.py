"""Asks REDbot what it notes of a URL, and prints its notes as JSON: ``redbot_notes.py URL [NAME:VALUE]``.

A program of its own, because REDbot's event loop ends with its process.
"""

import json
import sys
from configparser import ConfigParser

import thor
from redbot.resource import HttpResource


def main(url: str, *fields: str) -> None:
    """Let REDbot look at a URL, with its further requests for ranges, codings and validators."""
    config = ConfigParser()
    config.read_dict({"redbot": {"enable_local_access": "True"}})
    resource = HttpResource(config["redbot"])
    split = (text.partition(":") for text in fields)
    resource.set_request(url, headers=[(name, value.strip()) for name, _, value in split])
    resource.on("check_done", thor.stop)
    resource.check()
    thor.run()
    found = [resource.response, *(check.response for check in resource.subreqs.values())]
    notes = [note for response in found for note in response.notes]
    said = [{"level": note.level.value, "name": type(note).__name__, "summary": str(note.summary)} for note in notes]
    print(json.dumps({"status": resource.response.status_code, "notes": said}))


main(*sys.argv[1:])
