"""Listens while it is the active one, and stands by without a socket otherwise. Arguments: endpoint, port, name."""

import asyncio
import sys

import uvloop

from flashpy.cluster.etcd.client import Etcd
from flashpy.cluster.etcd.leadership import Leadership, Role


async def main(endpoint: str, port: int, name: str) -> None:
    """Answer each connection with the name, while active."""
    server: asyncio.Server | None = None

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name.encode())
        await writer.drain()
        writer.close()

    async def listen() -> None:
        nonlocal server
        server = await asyncio.start_server(greet, "127.0.0.1", port, reuse_address=True)

    def changed(role: Role) -> None:
        print(role.value, flush=True)
        if role is Role.ACTIVE:
            listening.append(asyncio.ensure_future(listen()))
        elif server is not None:
            server.close()

    listening: list[asyncio.Future[None]] = []
    await Leadership(Etcd([endpoint], timeout=1), name, lease=1).run(changed)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
