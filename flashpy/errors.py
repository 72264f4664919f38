"""What can go wrong before the first request, said in plain sentences.

Nothing here is raised for what a client sends: that is answered with a status (http.http1).
"""


class FlashpyError(Exception):
    """Any error that flashpy raises on purpose; its text is one plain sentence for people."""


class ConfigError(FlashpyError):
    """The configuration cannot be used: says which file, which key and what to do (exit code 2)."""


class StartError(FlashpyError):
    """The server could not start: a busy port, no such directory (exit code 1)."""


class WorkerError(StartError):
    """A worker process could not start, though its supervisor could (exit code 3)."""
