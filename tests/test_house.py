"""The layers, executed: which module may import which, and what every module must have."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "flashpy"

LAYERS = {
    "activation": 0,
    "addresses": 0,
    "atoms": 0,
    "buffers": 0,
    "errors": 0,
    "histogram": 0,
    "landlock": 0,
    "libraries": 0,
    "memory": 0,
    "metrics": 0,
    "notify": 0,
    "now": 0,
    "pid_file": 0,
    "privileges": 0,
    "process": 0,
    "settings": 0,
    "http": 1,
    "tls": 1,
    "routing": 1,
    "job": 1,
    "report": 1,
    "access": 2,
    "dispatch": 2,
    "cache": 2,
    "log": 2,
    "loghelper": 2,
    "logs": 2,
    "cluster": 3,
    "resource": 3,
    "siblings": 4,
    "site": 4,
    "config": 5,
    "cluster/backend": 5,
    "cluster/etcd": 5,
    "cluster/haproxy": 5,
    "event": 5,
    "arch": 6,
    "cluster/steering": 6,
    "admin": 7,
    "cluster/front": 7,
    "cluster/node": 7,
    "server": 7,
    "pytest_plugin": 8,
    "signing": 8,
    "supervisor": 8,
    "cli": 9,
    "__main__": 10,
}
"""The layer of each part of the package: a part may import from parts of lower layers, and from itself.

A part of a part ("cluster/front") may have a layer of its own, and is a part then."""

SAME_LAYER = {
    ("activation", "addresses"),
    ("activation", "errors"),
    ("metrics", "histogram"),
    ("pid_file", "errors"),
    ("privileges", "errors"),
    ("routing", "http"),
}
"""The few imports between two parts of one layer."""

IMPURE = {"asyncio", "uvloop", "socket", "ssl", "select", "selectors", "threading", "subprocess", "time"}
HEAVY = {"asyncio", "uvloop", "msgspec", "httptools", "click", "ssl", "logging", "typing_extensions"}
PURE = (
    *("http", "routing", "access", "dispatch", "cache", "cluster", "resource", "site", "log"),
    *("addresses", "atoms", "buffers", "errors", "histogram", "metrics", "now", "settings"),
)
CPU_LIBRARIES = {
    "flashpy/job/encode.py": {"brotli", "backports", "compression", "zlib_ng"},
    "flashpy/job/passwords.py": {"bcrypt"},
    "flashpy/job/watch.py": {"watchfiles"},
}
"""What CPU helpers use beside the standard library; imported where it is needed, so that no disk helper has it."""
# job.perform and job.programs are there to block
PURE_MODULES = ("job/entries", "job/kinds", "job/framing", "job/passwords", "job/tar", "tls/certificate")

MODULES = sorted(PACKAGE.rglob("*.py"))
HELPERS = sorted((REPOSITORY / "helpers").glob("*.py"))


def name_of(path: Path) -> str:
    """A module's path within the package, as its test's id."""
    return path.relative_to(REPOSITORY).as_posix()


def imports_of(path: Path) -> Iterator[str]:
    """The full names that a module imports anywhere in it; nothing here is imported relatively."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(path: Path) -> str:
    """The part of the package that a module belongs to."""
    return part_named(path.relative_to(PACKAGE).with_suffix("").parts)


def part_named(names: Sequence[str]) -> str:
    """The part that the names of a module, from the package down, lead to."""
    inner = "/".join(names[:2])
    return inner if inner in LAYERS else names[0]


def parts_imported(path: Path) -> set[str]:
    """The parts of the package that a module imports from, but for the package's own names such as its version."""
    found = set()
    for name in imports_of(path):
        first, *rest = name.split(".")
        if first == "flashpy" and rest and not rest[0].startswith("__version"):
            found.add(part_named(rest))
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_has_a_layer(path: Path) -> None:
    """A new part of the package must be given its place in the table above."""
    assert part_of(path) in LAYERS or path == PACKAGE / "__init__.py"


@pytest.mark.parametrize("path", [path for path in MODULES if path != PACKAGE / "__init__.py"], ids=name_of)
def test_imports_lead_downward(path: Path) -> None:
    """So the http part knows neither jobs nor caches, and nothing below the event part knows of an event loop."""
    part = part_of(path)
    for other in parts_imported(path) - {part}:
        assert LAYERS[other] < LAYERS[part] or (part, other) in SAME_LAYER, f"{name_of(path)} imports flashpy.{other}"


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) == "http"], ids=name_of)
def test_http_knows_neither_jobs_nor_caches(path: Path) -> None:
    """HTTP is spoken without knowing where answers come from."""
    assert not parts_imported(path) & {"job", "cache", "resource", "site", "event", "server", "cli"}


PURE_PATHS = [
    path
    for path in MODULES
    if part_of(path) in PURE or path.relative_to(PACKAGE).with_suffix("").as_posix() in PURE_MODULES
]


@pytest.mark.parametrize("path", PURE_PATHS, ids=name_of)
def test_pure_modules_have_no_clock_no_socket_and_no_loop(path: Path) -> None:
    """Time and state come as arguments: so these modules are tested without waiting for anything."""
    assert not {name.split(".")[0] for name in imports_of(path)} & IMPURE


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_event_part_and_above_know_asyncio(path: Path) -> None:
    """asyncio and uvloop live in flashpy.event and what stands on it."""
    if LAYERS.get(part_of(path), 0) < LAYERS["event"]:
        assert not {name.split(".")[0] for name in imports_of(path)} & {"asyncio", "uvloop"}


@pytest.mark.parametrize("path", [*HELPERS, *(path for path in MODULES if part_of(path) == "job")], ids=name_of)
def test_helpers_import_little(path: Path) -> None:
    """The standard library, flashpy.job and what is below: a helper must be quick to start and small."""
    assert parts_imported(path) <= {"job", "buffers", "landlock", "process"}
    allowed = {"flashpy", *sys.stdlib_module_names, *CPU_LIBRARIES.get(name_of(path), ())}
    assert {name.split(".")[0] for name in imports_of(path)} <= allowed


def test_a_helper_has_no_loop_in_memory() -> None:
    """What is imported behind the imports counts too."""
    script = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "import flashpy.job.programs, flashpy.job.confined\n"
        f"print(*sorted({HEAVY} & set(sys.modules)))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('flashpy')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    unwanted, ours = done.stdout.splitlines()
    assert unwanted == ""
    assert ours.split() == [
        "flashpy",
        "flashpy.buffers",
        "flashpy.job",
        "flashpy.job.confined",
        "flashpy.job.directory",
        "flashpy.job.entries",
        "flashpy.job.framing",
        "flashpy.job.kinds",
        "flashpy.job.listing",
        "flashpy.job.perform",
        "flashpy.job.places",
        "flashpy.job.programs",
        "flashpy.job.tar",
        "flashpy.job.walk",
        "flashpy.landlock",
        "flashpy.process",
    ]


@pytest.mark.parametrize("path", [*MODULES, *HELPERS], ids=name_of)
def test_everything_public_says_what_it_is(path: Path) -> None:
    """Each module, and each class and function whose name is public, has a docstring."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(module), f"{name_of(path)} has none"
    silent = [node.name for node in public_in(module) if not ast.get_docstring(node)]
    assert silent == []


def public_in(node: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """The public classes and functions of a module, and of the public classes in it."""
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public_in(child)


def test_nothing_imports_the_benchmarks() -> None:
    """They are no part of the server."""
    for path in [*MODULES, *HELPERS]:
        assert not any(name.split(".")[0] == "benchmarks" for name in imports_of(path)), name_of(path)


def test_the_names_that_the_package_hands_on() -> None:
    """Lazily (PEP 562), each from its home; what does not exist is an AttributeError."""
    import flashpy

    for name in flashpy.__all__:
        assert getattr(flashpy, name).__module__ == flashpy._HOME[name]
    assert set(flashpy.__all__) == set(flashpy._HOME)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = flashpy.nonsense
