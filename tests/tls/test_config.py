"""What a configuration says of TLS: what is refused when it is read, and what ``flashpy check`` finds."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flashpy.config import load
from flashpy.config.certificates import certificates
from flashpy.errors import ConfigError
from tests.running import PATIENCE
from tests.tls.authority import Authority, Pair

NOW = datetime.now(UTC) + timedelta(hours=1)  # so that what is made here is good already


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "flashpy.toml"
    file.write_text(text)
    return file


def table(pair: Pair) -> str:
    return f'[[tls.certificate]]\nfile = "{pair.file}"\nkey = "{pair.key}"\n'


def findings(tmp_path: Path, *pairs: Pair, more: str = "", site: str = "") -> list[tuple[str, str, bool]]:
    text = f'[tls]\nbind = [":0"]\n{more}\n' + "".join(map(table, pairs)) + f"[site]\n{site}"
    return [(".".join(keys), why, error) for keys, why, error in certificates(load(written(tmp_path, text)), NOW)]


CERTIFICATE = '[[tls.certificate]]\nfile = "x"\n'


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ('[tls]\nbind = [":0"]\n', "bind", "it takes a certificate"),
        ('[tls]\nbind = ["x"]\n' + CERTIFICATE, "bind", "'x' is no address"),
        (CERTIFICATE, "certificate", "set tls.bind too"),
        ("[tls]\nself_signed = true\n", "self_signed", "set tls.bind too"),
        ("[tls]\nhttps_redirect = true\n", "https_redirect", "set tls.bind too"),
        ('[tls]\nbind = [":0"]\nself_signed = true\n' + CERTIFICATE, "self_signed", "leave one of them out"),
        ('[tls]\nbind = [":0"]\nhttps_redirect = true\n' + CERTIFICATE, "https_redirect", "set server.bind"),
        ('[server]\nbind = [":0"]\n[tls]\nbind = [":0"]\n' + CERTIFICATE, "bind", ":0 is in server.bind already"),
        ('[server]\narchitecture = "mt"\n[tls]\nbind = [":0"]\n' + CERTIFICATE, "bind", "takes an event loop"),
    ],
)
def test_what_means_nothing(tmp_path: Path, text: str, key: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    sentence = str(caught.value)
    assert f"tls.{key}: " in sentence and why in sentence and sentence.endswith(".")
    assert sentence.startswith(f"{tmp_path}/flashpy.toml, line ")


def test_paths_are_taken_from_the_directory_of_the_file(tmp_path: Path) -> None:
    text = '[tls]\nbind = [":0"]\nclient_ca = "ca"\n[[tls.certificate]]\nfile = "a"\nkey = "b"\n'
    tls = load(written(tmp_path, text)).tls
    (section,) = tls.certificate
    assert [section.file, section.key, tls.client_ca] == [str(tmp_path / name) for name in ("a", "b", "ca")]


def test_without_other_addresses_there_are_none_of_plain_http(tmp_path: Path) -> None:
    config = load(written(tmp_path, '[tls]\nbind = [":0"]\n' + CERTIFICATE))
    assert (config.server.bind, config.addresses) == ((), (":0",))
    both = load(written(tmp_path, '[server]\nbind = [":1"]\n[tls]\nbind = [":0"]\n' + CERTIFICATE))
    assert both.addresses == (":1", ":0")


@pytest.mark.parametrize(
    ("server", "tls", "said"),
    [
        ("", "", True),
        ('bind = [":1"]', "https_redirect = true", True),
        ('bind = [":1"]', "", False),
    ],
)
def test_only_by_https_is_said_where_all_is_served_by_it(tmp_path: Path, server: str, tls: str, said: bool) -> None:
    """RFC 6797, 7.2."""
    text = f'[server]\n{server}\n[tls]\nbind = [":0"]\n{tls}\n{CERTIFICATE}[site]\nsecurity_headers = true\n'
    assert ("Strict-Transport-Security" in load(written(tmp_path, text)).site.headers) is said
    own = load(written(tmp_path, text + 'headers = { "strict-transport-security" = "max-age=0" }\n'))
    assert own.site.headers == {"strict-transport-security": "max-age=0"}


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path, authority: Authority) -> None:
    pairs = authority.issue("one", "example.org"), authority.issue("two", "*.example.org")
    assert findings(tmp_path, *pairs, site='hosts = ["example.org", "a.example.org", "*.example.org"]') == []


def test_dates(tmp_path: Path, authority: Authority) -> None:
    day = timedelta(days=1)
    pairs = [
        authority.issue("over", not_before=NOW - 90 * day, not_after=NOW - day),
        authority.issue("soon", not_before=NOW - 90 * day, not_after=NOW + 10 * day),
        authority.issue("later", not_before=NOW + day, not_after=NOW + 90 * day),
        authority.issue("good", not_before=NOW - day, not_after=NOW + 89 * day),
    ]
    found = findings(tmp_path, *pairs)
    assert [keys for keys, _, _ in found] == [f"tls.certificate.{number}" for number in range(3)]
    parts = ("was good until", "is good until", "is not good before")
    assert all(part in why for (_, why, _), part in zip(found, parts, strict=True))
    assert not any(error for _, _, error in found)


def test_keys(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue("one")
    pair.key.chmod(0o644)
    ((keys, why, error),) = findings(tmp_path, pair)
    assert (keys, error) == ("tls.certificate.0", False)
    assert why == f"everybody on this machine may read the key in {pair.key}; chmod 600 takes that away."


def test_a_long_key_of_rsa(tmp_path: Path) -> None:
    file, key = tmp_path / "long.pem", tmp_path / "long.key"
    command = f"openssl req -x509 -newkey rsa:3072 -nodes -subj /CN=x -days 90 -out {file} -keyout {key}"
    subprocess.run(command.split(), check=True, capture_output=True, timeout=PATIENCE)
    ((_, why, error),) = findings(tmp_path, Pair(file, key))
    assert "RSA, 3072 bits" in why and not error


def test_what_cannot_be_used(tmp_path: Path, authority: Authority) -> None:
    one, other = authority.issue("one"), authority.issue("other")
    (first, second, third) = findings(
        tmp_path, Pair(one.file, other.key), Pair(tmp_path / "none", one.key), more='client_ca = "none"'
    )
    assert first[0] == "tls.certificate.0" and "its key belongs to another certificate" in first[1] and first[2]
    assert second[0] == "tls.certificate.1" and "No such file" in second[1] and second[2]
    assert third[0] == "tls.client_ca" and "No such file" in third[1] and third[2]


def test_hosts_without_a_certificate(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue("one", "example.org")
    ((keys, why, error),) = findings(tmp_path, pair, site='hosts = ["example.org", "example.net"]')
    assert (keys, why, error) == (
        "site.hosts",
        "no certificate is for example.net: browsers refuse it by HTTPS.",
        False,
    )
