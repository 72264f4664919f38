"""The man page, the reference and the completion: made of the definitions of all options and keys."""

import shutil
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from flashpy.cli.command import COMMANDS, command_of
from flashpy.cli.definitions import commands, keys
from flashpy.cli.manual import man_page, reference
from flashpy.cli.schema import commented, comments_in
from flashpy.cli.serve import serve
from tests.running import PATIENCE, REPOSITORY, clean_environment

DOCS = REPOSITORY / "docs"


def run(*arguments: str, **environment: str) -> str:
    """What flashpy prints."""
    done = subprocess.run(
        [sys.executable, "-m", "flashpy", *arguments],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout


def test_the_committed_documents_are_current() -> None:
    """If this fails, run "make documents"."""
    assert (DOCS / "flashpy.1").read_text("utf-8") == man_page() == run("manual")
    assert (DOCS / "reference.md").read_text("utf-8") == reference() == run("manual", "--markdown")


def every_option() -> Iterator[tuple[str, str]]:
    """All that click knows, by command."""
    for name, command in (("flashpy", serve), *((f"flashpy {name}", command_of(name)) for name in COMMANDS)):
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield from ((name, option) for option in (*parameter.opts, *parameter.secondary_opts))


def test_every_option_and_key_is_there() -> None:
    """With a meaning, and what stands for its value."""
    told = {(command.name, name) for command in commands() for option in command.options for name in option.names}
    assert set(every_option()) <= told
    assert all(option.meaning for command in commands() for option in command.options)
    names = {(*filter(None, key.section.strip("[]").split(".")), key.name) for key in keys()}
    assert names == set(comments_in(commented())) - {
        ("site", "rule"), ("site", "mount"), ("site", "route"), ("site", "access"), ("tls", "certificate"),
        ("cluster", "node"),
    }  # fmt: skip
    assert all(key.meaning and key.kind for key in keys())


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man")
def test_the_man_page_can_be_read() -> None:
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", DOCS / "flashpy.1"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=clean_environment(MANWIDTH="100", LC_ALL="C.UTF-8"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--timeout-graceful-shutdown" in done.stdout and "[[site.access]]" in done.stdout


# Completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_takes_the_script(shell: str) -> None:
    script = run("completions", shell)
    assert "_FLASHPY_COMPLETE" in script
    if shutil.which(shell):
        subprocess.run(
            [shell, "-n", "-c", script] if shell != "zsh" else [shell, "-n"], input=script, check=True, text=True
        )


def completed(*words: str) -> list[str]:
    """What bash is offered for the last of these words."""
    line = " ".join(["flashpy", *words])
    answer = run(_FLASHPY_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words)))
    return answer.split()


def test_commands_directories_and_options_are_offered() -> None:
    assert {"plain,check", "plain,compress", "plain,completions", "dir,c"} <= set(completed("c"))
    assert {"plain,--port", "plain,--admin"} <= set(completed("--"))
    assert completed("site", "--por") == ["plain,--port"]
    assert "plain,--strict" in completed("check", "--") and "plain,--port" not in completed("check", "--")
    assert set(completed("--architecture", "")) == {"plain,amped", "plain,sped", "plain,mp", "plain,mt"}
    assert set(completed("completions", "z")) == {"plain,zsh"}
