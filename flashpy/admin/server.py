"""The server of the admin address: our own, in a loop of its own, with one site that never takes a job."""

import socket
from collections.abc import Sequence

from flashpy.admin.site import AdminSite
from flashpy.arch.sped import Sped
from flashpy.event.programs import LocalStarter
from flashpy.job.kinds import Runner
from flashpy.metrics import Metrics
from flashpy.settings import Config, LimitsSection
from flashpy.site.sites import Answering

MOST_CONNECTIONS = 256


class AdminServer(Sped):
    """Answers what an AdminSite answers at these sockets (an arch.architecture.Architecture)."""

    def __init__(self, site: AdminSite, sockets: Sequence[socket.socket]) -> None:
        config = Config(limits=LimitsSection(connections=MOST_CONNECTIONS))
        super().__init__(config, {"": list(sockets)}, Metrics(), LocalStarter())
        self._admin = site

    def _answering(self, runner: Runner) -> Answering:
        """No site of a configuration."""
        return self._admin
