"""Fields of requests as browsers send them: generated and seeded, so that they are many and always the same.

A head has ten to sixteen fields and 400 to 900 bytes, with its request line and its Host field. Cookies make up what
is missing. A tenth of the heads is conditional: a validator of the file that is asked for belongs at their end.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

COUNT = 500
"""Heads in a set."""
CONDITIONAL_EVERY = 10
"""One head of so many is conditional: by ETag and by date in turns."""
FIELDS = (10, 16)
BYTES = (400, 900)
"""Bounds of the fields and of the bytes of a head."""
START = len("GET /000/00000.html HTTP/1.1\r\nHost: 127.0.0.1:65535\r\n\r\n")
"""Bytes of a head that are not made here, about."""
COOKIE = len("Cookie: \r\n")
VALIDATOR = len("If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\n")

CHROME = "Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
SAFARI = "Mozilla/5.0 ({system}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{version}.1 Safari/605.1.15"
FIREFOX = "Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
SYSTEMS = ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64",
           "Linux; Android 10; K", "iPhone; CPU iPhone OS 17_5 like Mac OS X")  # fmt: skip
LANGUAGES = ("en-US,en;q=0.9", "de-DE,de;q=0.9,en;q=0.7", "fr,fr-FR;q=0.8,en-US;q=0.5,en;q=0.3", "ja", "pt-BR,pt;q=0.9")
ACCEPTS = {
    "document": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "image": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "style": "text/css,*/*;q=0.1",
    "script": "*/*",
}
NAMES = ("_ga", "_gid", "theme", "consent", "csrftoken", "lang", "ab", "uid")
CODINGS = ("gzip, deflate, br, zstd", "gzip, deflate, br", "gzip, deflate")


@dataclass(frozen=True)
class Head:
    """The fields of a head after Host, each line with its end, and the name of its conditional field, if it has one."""

    fields: str
    condition: str = ""


def heads() -> list[Head]:
    """The set of heads."""
    draw = random.Random(500)
    return [head(draw, number) for number in range(COUNT)]


def head(draw: random.Random, number: int) -> Head:
    """One head: fields that every browser sends, some that depend on the browser and on what it loads, a cookie."""
    condition = ""
    if number % CONDITIONAL_EVERY == 0:
        condition = ("If-None-Match", "If-Modified-Since")[number // CONDITIONAL_EVERY % 2]
    destination = draw.choice(sorted(ACCEPTS))
    needed, more = needed_fields(draw, destination), optional_fields(draw, destination)
    others = len(needed) + len(("Host", "Cookie")) + bool(condition)
    chosen = draw.sample(sorted(more), draw.randint(*FIELDS) - others)
    fields = needed | {name: more[name] for name in more if name in chosen}
    text = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    room = draw.randint(*BYTES) - START - COOKIE - len(text) - (VALIDATOR if condition else 0)
    return Head(f"{text}Cookie: {cookies(draw, room)}\r\n", condition)


def needed_fields(draw: random.Random, destination: str) -> dict[str, str]:
    """What every browser sends."""
    agent = draw.choice((CHROME, SAFARI, FIREFOX))
    return {
        "Connection": "keep-alive",
        "User-Agent": agent.format(system=draw.choice(SYSTEMS), version=draw.randint(110, 140)),
        "Accept": ACCEPTS[destination],
        "Accept-Encoding": draw.choice(CODINGS),
        "Accept-Language": draw.choice(LANGUAGES),
    }


def optional_fields(draw: random.Random, destination: str) -> dict[str, str]:
    """What some browsers send, sometimes."""
    version = draw.randint(110, 140)
    return {
        "sec-ch-ua": f'"Chromium";v="{version}", "Not;A=Brand";v="24"',
        "sec-ch-ua-mobile": draw.choice(("?0", "?1")),
        "sec-ch-ua-platform": draw.choice(('"Windows"', '"macOS"', '"Linux"', '"Android"')),
        "DNT": "1",
        "Upgrade-Insecure-Requests": "1",
        "Sec-Fetch-Site": draw.choice(("same-origin", "none", "cross-site")),
        "Sec-Fetch-Mode": draw.choice(("navigate", "no-cors", "cors")),
        "Sec-Fetch-Dest": destination,
        "Referer": f"http://127.0.0.1/{draw.randrange(20):03}/{draw.randrange(2000):05}.html",
        "Cache-Control": draw.choice(("max-age=0", "no-cache")),
        "Priority": draw.choice(("u=0, i", "u=1", "u=5, i")),
    }


def cookies(draw: random.Random, length: int) -> str:
    """The value of a Cookie field of ``length`` bytes, and of 24 at least."""
    text = f"session={draw.randbytes(8).hex()}"
    while len(text) < length:
        text += f"; {draw.choice(NAMES)}={draw.randbytes(draw.randint(4, 24)).hex()}"
    return text[: max(24, length)].rstrip("; ")
