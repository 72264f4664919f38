"""The settings: every key of the configuration with its type and its default. Sizes are bytes, times are seconds.

How files are read into them, and what is checked beyond types, is in flashpy.config.
"""

import os
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class ServerSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Where to listen, how to work and how to stop."""

    bind: tuple[str, ...] = ("127.0.0.1:8000",)
    unix_mode: str = ""
    backlog: Positive = 2048
    user: str = ""
    group: str = ""
    pid_file: str = ""
    timeout_graceful_shutdown: Annotated[float, Meta(ge=0)] = 30.0
    architecture: Literal["amped", "sped", "mp", "mt"] = "amped"
    concurrency: Annotated[int, Meta(ge=1, le=10_000)] = 32
    workers: Annotated[int, Meta(ge=1, le=1_000)] = 1
    cpu_affinity: Literal["auto"] | tuple[Count, ...] = ()
    sandbox: bool = True
    http2: bool = False
    reload: bool = False
    proxy_protocol: bool | tuple[str, ...] = False
    trusted_proxies: tuple[str, ...] = ()
    client_ip_field: Literal["X-Forwarded-For", "Forwarded"] = "X-Forwarded-For"

    def is_proxied(self, address: str) -> bool:
        """Whether proxies speak the PROXY protocol at an address."""
        wanted = self.proxy_protocol
        return wanted if isinstance(wanted, bool) else address in wanted

    server_timing: bool = False

    @property
    def unix_permissions(self) -> int | None:
        """``unix_mode`` as a number; None: as the umask leaves it."""
        return int(self.unix_mode, 8) if self.unix_mode else None


Globs = tuple[str, ...]
"""Patterns over paths (flashpy.routing.globs)."""
Coding = Literal["br", "zstd", "gzip"]


class RuleSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Fields for the answers whose path, as asked for or as it is served, matches (flashpy.routing.rules)."""

    match: Globs = ("**",)
    types: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    cache_control: str = ""


class MountSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Another directory in place of what the root has beneath ``path``."""

    path: str
    root: str
    allowed_roots: Annotated[tuple[str, ...], Meta(max_length=64)] = ()


class RouteSection(Struct, frozen=True, forbid_unknown_fields=True, rename={"source": "from"}):
    """Where what asks for ``source`` is led: to another address, to another file, or to nothing, by the status
    (flashpy.routing.redirects)."""

    source: str
    to: str = ""
    status: Literal[200, 301, 302, 303, 307, 308, 404, 410, 451] = 301
    missing: bool = False
    query: dict[str, str] = {}
    host: str = ""


class AccessSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may have what matches (flashpy.access)."""

    match: Globs = ("**",)
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    users: dict[str, str] = {}
    htpasswd: str = ""
    realm: str = "flashpy"
    keys: tuple[str, ...] = ()
    key_file: str = ""
    satisfy: Literal["all", "any"] = "all"


class CorsSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Which other origins' scripts may read the answers (the Fetch standard; flashpy.http.cors)."""

    origins: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: Count = 600


class SiteSection(Struct, frozen=True, forbid_unknown_fields=True):
    """What is served, and how."""

    hosts: tuple[str, ...] = ()
    root: str = "."
    allowed_roots: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    index: Annotated[tuple[str, ...], Meta(max_length=64)] = ("index.html",)
    dotfiles: bool = False
    hide: Globs = ()
    precompressed: tuple[Coding, ...] = ()
    encode: tuple[Coding, ...] = ()
    headers: dict[str, str] = {}
    cache_control: str = ""
    hashed_names: bool = True
    etag: Literal["stat", "content"] = "stat"
    media_types: dict[str, str] = {}
    security_headers: bool = False
    clean_urls: bool = False
    trailing_slash: Literal["auto", "always", "never"] = "auto"
    fallback: str = ""
    error_pages: dict[str, str] = {}
    listing: bool = False
    listing_archive: bool = False
    imports: tuple[Literal["netlify", "serve"], ...] = ()
    keep_releases: Annotated[float, Meta(ge=0)] = 0.0
    cors: CorsSection = CorsSection()
    rule: tuple[RuleSection, ...] = ()
    mount: tuple[MountSection, ...] = ()
    route: tuple[RouteSection, ...] = ()
    access: tuple[AccessSection, ...] = ()

    @property
    def roots(self) -> tuple[str, ...]:
        """All directories that are read for it."""
        mounted = (root for mount in self.mount for root in (mount.root, *mount.allowed_roots))
        return (self.root, *self.allowed_roots, *mounted)


class CertificateSection(Struct, frozen=True, forbid_unknown_fields=True):
    """A file with a certificate and those that lead from it to an authority, and one with its key (without: it is in
    the first)."""

    file: str
    key: str = ""


class TlsSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses where TLS is spoken, and as whom (flashpy.tls). The first certificate is for clients that ask for no
    name, or for one that none has."""

    bind: tuple[str, ...] = ()
    certificate: Annotated[tuple[CertificateSection, ...], Meta(max_length=64)] = ()
    self_signed: bool = False
    min_version: Literal["1.2", "1.3"] = "1.2"
    client_ca: str = ""
    client_auth: Literal["required", "optional"] = "required"
    https_redirect: bool = False
    https_port: Annotated[int, Meta(ge=0, le=65_535)] = 0


class HelpersSection(Struct, frozen=True, forbid_unknown_fields=True):
    """The helper processes: a pool for what may wait for a disk, and a small one for what takes a processor's time
    (``cpu``; 0: as many as there are processors but one, up to 4)."""

    min: Annotated[int, Meta(ge=1, le=256)] = 2
    max: Annotated[int, Meta(ge=1, le=256)] = 8
    total: Annotated[int, Meta(ge=1, le=1_000)] = 32
    idle: Seconds = 30.0
    timeout: Seconds = 30.0
    anticipate: bool = True
    cpu: Annotated[int, Meta(ge=0, le=64)] = 0


class CacheSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Flash's three caches, each with its budgets."""

    valid: Seconds = 1.0
    negative_valid: Seconds = 0.5
    pathname_entries: Count = 20_000
    pathname_bytes: Count = 8 * 2**20
    header_entries: Count = 20_000
    header_bytes: Count = 16 * 2**20
    file_entries: Count = 10_000
    file_bytes: Count = 64 * 2**20
    descriptors: Count = 1_000
    coded_entries: Count = 2_000
    coded_bytes: Count = 32 * 2**20
    coded_directory: str = ""
    coded_directory_bytes: Count = 2**30
    small_file: Annotated[int, Meta(ge=0, le=128 * 2**10)] = 32 * 2**10


class LimitsSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on everything that a client controls."""

    connections: Positive = 16_384
    connections_per_client: Count = 0
    requests_per_second_per_client: Annotated[float, Meta(ge=0)] = 0.0
    burst_per_client: Count = 100
    bandwidth_per_connection: Annotated[int, Meta(ge=0, lt=2**32 - 1)] = 0
    pipeline: Positive = 32
    http2_max_concurrent_streams: Annotated[int, Meta(ge=1, le=1_000)] = 128
    target: Annotated[int, Meta(ge=64, le=65_536)] = 8_192
    head: Annotated[int, Meta(ge=256, le=2**20)] = 32_768
    fields: Positive = 100
    body: Annotated[int, Meta(ge=0, le=2**20)] = 65_536
    memo: Count = 8 * 2**20
    ranges: Annotated[int, Meta(ge=1, le=100)] = 100
    timeout_handshake: Seconds = 10.0
    timeout_head: Seconds = 10.0
    timeout_keep_alive: Seconds = 75.0
    timeout_send: Seconds = 60.0
    min_send_rate: Count = 240


class LogSection(Struct, frozen=True, forbid_unknown_fields=True):
    """What is written about the work."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    access: bool = False
    access_file: str = "-"
    access_format: str = "combined"


class AdminSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Where metrics and the status page are (flashpy.admin), if anywhere."""

    bind: tuple[str, ...] = ()
    unix_mode: str = "0600"
    hosts: tuple[str, ...] = ()

    @property
    def unix_permissions(self) -> int | None:
        """``unix_mode`` as a number; None: as the umask leaves it."""
        return int(self.unix_mode, 8) if self.unix_mode else None


class NodeSection(Struct, frozen=True, forbid_unknown_fields=True):
    """A node of a cluster as its front-end knows it: through the Unix socket ``handoff`` where it is on the same host;
    else, and there only, requests are relayed to ``address``."""

    name: str
    handoff: str = ""
    address: str = ""
    weight: Annotated[float, Meta(gt=0)] = 1.0

    @property
    def host(self) -> str:
        """By which name it is asked, where nobody has said another (RFC 9110, 7.2)."""
        return "localhost" if self.handoff or self.address.startswith("unix:") else self.address


class PolicySection(Struct, frozen=True, forbid_unknown_fields=True):
    """Which node gets a request (flashpy.cluster.policy)."""

    name: Literal["rr", "wrr", "p2c", "hash", "chbl", "lb-gc", "lard", "lard-r", "lard-p", "lard-a"] = "lard-r"
    t_low: Annotated[float, Meta(gt=0)] = 25.0
    t_high: Annotated[float, Meta(gt=0)] = 65.0
    k: Annotated[float, Meta(ge=0)] = 20.0
    l_idle: Annotated[float, Meta(ge=0)] = 30.0
    l_overload: Annotated[float, Meta(gt=0)] = 130.0
    miss_cost: Annotated[float, Meta(ge=0)] = 50.0
    bound: Annotated[float, Meta(gt=1)] = 1.25
    mapping_bytes: Positive = 2**26
    node_bytes: Positive = 2**25


class HealthSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether nodes are well (flashpy.cluster.health)."""

    interval: Seconds = 1.0
    timeout: Seconds = 2.0
    rise: Positive = 2
    fall: Positive = 3
    path: str = "/"
    slow_factor: Annotated[float, Meta(ge=0)] = 5.0
    slow_least: Seconds = 0.1
    slow_pause: Seconds = 10.0


class EtcdSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a cluster on several hosts learns who is in it and which front-end is active (flashpy.cluster.etcd). Name,
    address and weight are what a node tells of itself; a front-end tells its name."""

    endpoints: tuple[str, ...] = ()
    prefix: str = "/flashpy/"
    lease: Annotated[int, Meta(ge=1, le=3600)] = 10
    name: str = ""
    address: str = ""
    weight: Annotated[float, Meta(gt=0)] = 1.0


class ClusterSection(Struct, frozen=True, forbid_unknown_fields=True):
    """A cluster: what this server is in it, and of a front-end the nodes behind it (flashpy.cluster)."""

    role: Literal["", "front", "node"] = ""
    listen: str = ""
    idle: Seconds = 1.0
    control: str = ""
    connections: Count = 0
    queue: Count = 1_000
    queue_timeout: Seconds = 10.0
    relay_timeout: Seconds = 30.0
    pool: Count = 32
    splice: bool = True
    warm_timeout: Annotated[float, Meta(ge=0)] = 30.0
    policy: PolicySection = PolicySection()
    health: HealthSection = HealthSection()
    etcd: EtcdSection = EtcdSection()
    node: tuple[NodeSection, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """What is listened at for other parts of the cluster, and for who drives it."""
        listen = (f"packets:{self.listen}",) if self.listen else ()
        return (*listen, f"unix:{self.control}") if self.control else listen


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole configuration of one server; immutable."""

    server: ServerSection = field(default_factory=ServerSection)
    site: SiteSection = field(default_factory=SiteSection)
    sites: tuple[SiteSection, ...] = ()
    tls: TlsSection = field(default_factory=TlsSection)
    helpers: HelpersSection = field(default_factory=HelpersSection)
    cache: CacheSection = field(default_factory=CacheSection)
    limits: LimitsSection = field(default_factory=LimitsSection)
    log: LogSection = field(default_factory=LogSection)
    admin: AdminSection = field(default_factory=AdminSection)
    cluster: ClusterSection = field(default_factory=ClusterSection)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses to listen on: those for plain HTTP, then those for TLS."""
        return (*self.server.bind, *self.tls.bind)

    @property
    def architecture(self) -> str:
        """What serves: a part of a cluster, or one of the four architectures."""
        return self.cluster.role or self.server.architecture

    @property
    def subject(self) -> str:
        """What is served, for people."""
        if self.cluster.role == "front":
            return f"the nodes {', '.join(node.name for node in self.cluster.node)}"
        return os.path.abspath(self.site.root)

    @property
    def has_helpers(self) -> bool:
        """Whether disk helpers do what may wait: so that who serves needs no right to any file."""
        return self.architecture in ("amped", "node")

    @property
    def all_sites(self) -> tuple[SiteSection, ...]:
        """``site``, and then those that are chosen by Host."""
        return (self.site, *self.sites)

    @property
    def served(self) -> tuple[str, ...]:
        """The directories that are served, each once: the roots of all sites and of what is mounted there."""
        mounted = (mount.root for site in self.all_sites for mount in site.mount)
        return tuple(dict.fromkeys([*(site.root for site in self.all_sites), *mounted]))

    @property
    def roots(self) -> tuple[str, ...]:
        """All directories that are read, each once, in the order of the configuration."""
        return tuple(dict.fromkeys(root for site in self.all_sites for root in site.roots))
