"""What a resource answers: a response, or what it takes to make one."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias, Union

from flashpy.http.response import Response
from flashpy.job.kinds import Job, Result


class Pending(NamedTuple):
    """An answer that takes a job first; ``go_on`` makes it of the job's result.

    So what was found before is held by who waits for the rest, and not looked for once more in a cache that may have
    let it go meanwhile: no request can loop.
    """

    job: Job
    go_on: "Callable[[Result], Answer]"


Answer: TypeAlias = Union[Response, Pending]  # noqa: UP007  # a name that is not defined yet is in it
"""Of a request: now, or after a job."""
