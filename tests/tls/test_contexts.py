"""Which certificates can be used, and what is said of those that cannot."""

import os
import subprocess
from pathlib import Path

import pytest

from flashpy.errors import ConfigError
from flashpy.settings import CertificateSection, TlsSection
from flashpy.tls.contexts import Contexts
from flashpy.tls.material import from_descriptor, read_all, read_authorities, stamps, to_descriptor
from tests.running import PATIENCE
from tests.tls.authority import Authority, Pair


def settings(*pairs: Pair | tuple[Path | str, Path | str]) -> TlsSection:
    return TlsSection(certificate=tuple(CertificateSection(str(file), str(key)) for file, key in pairs))


def complaint(wanted: TlsSection) -> str:
    """Why they cannot be used: one plain sentence."""
    with pytest.raises(ConfigError) as caught:
        Contexts(wanted, read_all(wanted), ("http/1.1",), read_authorities(wanted))
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and "Error" not in sentence
    return sentence


def test_the_key_may_be_in_the_same_file(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue("one")
    both = tmp_path / "both.pem"
    both.write_bytes(pair.key.read_bytes() + pair.file.read_bytes())
    wanted = settings((both, ""))
    assert Contexts(wanted, read_all(wanted), ("http/1.1",)).default


def test_files_that_do_not_belong_together(authority: Authority) -> None:
    one, other = authority.issue("one"), authority.issue("other")
    third = authority.issue("third", kind="RSA")
    for file, key in ((one.file, other.key), (one.file, third.key), (third.file, one.key)):
        assert "its key belongs to another certificate" in complaint(settings((file, key)))


def test_files_that_are_something_else(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue("one")
    (tmp_path / "text").write_text("text")
    assert "there is no certificate in it" in complaint(settings((tmp_path / "text", pair.key)))
    assert "there is no key for it" in complaint(settings((pair.file, tmp_path / "text")))
    assert "there is no key for it" in complaint(settings((pair.file, "")))
    assert "cannot be read: No such file" in complaint(settings((tmp_path / "none", pair.key)))
    assert "cannot be read: Is a directory" in complaint(settings((tmp_path, pair.key)))
    (tmp_path / "large").write_bytes(b" " * (2**20 + 1))
    assert "is larger than" in complaint(settings((tmp_path / "large", pair.key)))


def test_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "there is no certificate in it" in complaint(settings((tmp_path / "pipe", "")))


def test_an_encrypted_key_is_refused_and_nobody_is_asked(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue("one")
    encrypted = str(tmp_path / "key")
    command = ["openssl", "pkey", "-in", str(pair.key), "-out", encrypted, "-aes256", "-passout", "pass:secret"]
    subprocess.run(command, check=True, timeout=PATIENCE)
    assert "is encrypted; decrypt it with openssl pkey" in complaint(settings((pair.file, encrypted)))


def test_authorities_that_are_none(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue("one")
    section = CertificateSection(str(pair.file), str(pair.key))
    (tmp_path / "text").write_text("text")
    for path, part in ((tmp_path / "text", "no certificate in it"), (tmp_path / "none", "No such file")):
        assert part in complaint(TlsSection(certificate=(section,), client_ca=str(path)))


def test_a_certificate_goes_by_a_file_in_memory(authority: Authority) -> None:
    (material,) = read_all(settings(authority.issue("one")))
    fd = to_descriptor(material.pem)
    try:
        assert from_descriptor(fd) == material._replace(name="")
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_what_is_not_good_leaves_all_as_it_was(authority: Authority) -> None:
    wanted = settings(authority.issue("one"), authority.issue("two", "two.example"))
    good = read_all(wanted)
    contexts = Contexts(wanted, good, ("http/1.1",))
    before = contexts.default
    other = authority.issue("three", kind="RSA")
    with pytest.raises(ConfigError):
        contexts.renew([read_all(settings(other))[0], good[1]._replace(pem=other.file.read_bytes())])
    assert contexts.default is before
    contexts.renew(good)
    assert contexts.default is before  # with what encrypts tickets
    contexts.renew([read_all(settings(other))[0], good[1]])
    assert contexts.default is not before  # which would go on to offer the other kind of key


def test_a_change_of_any_file_is_seen(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue("one")
    wanted = settings(pair)
    before = stamps(wanted)
    os.utime(pair.key)
    assert stamps(wanted) != before
    pair.file.unlink()
    assert stamps(wanted)[0] is None
