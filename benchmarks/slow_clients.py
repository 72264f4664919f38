"""Slow clients, a process of its own: what a server sees of clients behind long and narrow lines.

Each has one connection that is kept, asks for a file, takes the answer in pieces at a limited rate, and asks again
after a delay of 50 to 200 ms, in which a real one's request and answer would be on their way. So it stands for a client
and for the delaying relay before it at once (there is no netem here). The receive buffers are as small as can be, so
that what has not been taken waits in the server.

Prints "ready" when all have had an answer; then the number of answers so far for each line that it reads, until its
input ends.
"""

from __future__ import annotations

import argparse
import heapq
import random
import socket
import sys
import time
from selectors import EVENT_READ, DefaultSelector

from benchmarks.connection import request

DELAY = (0.05, 0.2)
"""Seconds between an answer's end and the next request."""
STEP = 0.5
"""Seconds between two pieces of an answer."""
RATE = 5_000
"""Bytes per second."""
BUFFER = 2048
"""Bytes of the receive buffer, of which the kernel makes the least that it has."""
SEED = 56


class Slow:
    """One client."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.socket.connect(("127.0.0.1", port))
        self.left = 0

    def step(self, message: bytes, answer: int) -> float | None:
        """Take a piece, or ask anew; seconds until the next step, None where an answer is complete."""
        if not self.left:
            self.socket.sendall(message)
            self.left = answer
            return STEP
        try:
            got = len(self.socket.recv(min(self.left, int(RATE * STEP)), socket.MSG_DONTWAIT))
        except BlockingIOError:
            return STEP
        if not got:
            raise ConnectionResetError("closed")
        self.left -= got
        return STEP if self.left else None


def whole_answer(port: int, message: bytes) -> int:
    """The bytes of an answer with its head."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(message)
        data = b""
        while b"\r\n\r\n" not in data:
            data += link.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-len"))
        while len(body) < length:
            body += link.recv(65536)
        return len(head) + 4 + length


def main() -> int:
    """Run the clients from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--clients", type=int, required=True)
    options = parser.parse_args()
    message, draw = request(options.path), random.Random(SEED)
    answer = whole_answer(options.port, message)
    clients = [Slow(options.port) for _ in range(options.clients)]
    now = time.perf_counter()
    due = [(now + draw.uniform(0, STEP), number) for number in range(len(clients))]
    heapq.heapify(due)
    answers, first = 0, set[int]()
    told = False
    with DefaultSelector() as orders:
        orders.register(sys.stdin, EVENT_READ)
        while True:
            if not told and len(first) == len(clients):
                print("ready", flush=True)
                told = True
            wait = due[0][0] - time.perf_counter() if due else 1.0
            if orders.select(max(0.0, min(wait, 1.0))):
                if not sys.stdin.readline():
                    return 0
                print(answers, flush=True)
            while due and due[0][0] <= time.perf_counter():
                when, number = heapq.heappop(due)
                pause = clients[number].step(message, answer)
                if pause is None:
                    answers += 1
                    first.add(number)
                    pause = draw.uniform(*DELAY)
                heapq.heappush(due, (when + pause, number))


if __name__ == "__main__":
    sys.exit(main())
