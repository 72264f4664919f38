"""The atoms of an access log's form: what they are called, and how a form is read. They are gunicorn's."""

import re
from typing import NamedTuple

NAMES = {
    "h": "the client's address",
    "l": "a hyphen",
    "u": "a hyphen: nobody logs in here",
    "t": "the time, in brackets",
    "r": "the request line",
    "m": "the method",
    "U": "the path, decoded",
    "q": "the query",
    "H": "the protocol",
    "s": "the status",
    "b": "bytes sent of the body, or a hyphen for none",
    "B": "bytes sent of the body",
    "f": "the Referer field",
    "a": "the User-Agent field",
    "T": "seconds taken, whole",
    "D": "microseconds taken",
    "M": "milliseconds taken",
    "L": "seconds taken, as a decimal fraction",
    "p": "the process id, in angle brackets",
    "C": "what the caches did: hit, miss or revalidated (flashpy's own)",
}
NAMES_WITH_ARGUMENT = {
    "i": "a field of the request",
    "o": "a field of the answer, as far as it is known beforehand (so not Date and Connection)",
    "e": "a variable of the environment",
}

_ATOM = re.compile(r"%(?:(?P<percent>%)|\((?:\{(?P<argument>[^{}]+)\}(?P<kind>\w+)|(?P<name>[^(){}]*))\)s)")


class Atom(NamedTuple):
    """``%(name)s``, or ``%({argument}name)s``."""

    name: str
    argument: str = ""


def parse(form: str) -> list[str | Atom]:
    """A form as the texts and the atoms that it consists of.

    Raises:
        ValueError: it has no atoms, or others than there are, or a character that would end or garble a line. The
            text says so in a plain sentence.
    """
    if not form.isprintable():
        raise ValueError("the form has a control character, and each line must be one")
    pieces: list[str | Atom] = []
    position = 0
    while (percent := form.find("%", position)) >= 0:
        match = _ATOM.match(form, percent)
        if match is None:
            raise ValueError(f"{form[percent : percent + 12]!r} is no atom, such as %(h)s; write %% for a percent sign")
        pieces += [form[position:percent] + "%"] if match["percent"] else [form[position:percent], _atom(match)]
        position = match.end()
    pieces.append(form[position:])
    if not any(isinstance(piece, Atom) for piece in pieces):
        raise ValueError(f"{form!r} is neither combined nor json, and has no atom such as %(h)s")
    return [piece for piece in pieces if piece]


def _atom(match: re.Match[str]) -> Atom:
    if match["kind"] in NAMES_WITH_ARGUMENT:
        return Atom(match["kind"], match["argument"])
    if match["name"] in NAMES:
        return Atom(match["name"])
    there_are = ", ".join([f"%({name})s" for name in NAMES] + [f"%({{name}}{kind})s" for kind in NAMES_WITH_ARGUMENT])
    raise ValueError(f"there is no atom {match[0]}; there are {there_are}")
