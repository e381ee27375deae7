"""Files are written whole or not at all; nothing but an ordinary file is ever replaced."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from kndb.errors import KndbError, UsageError
from kndb.files import text_of, whole_file

superuser = pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser makes devices")


def write(path: Path, data: bytes = b"new") -> None:
    with whole_file(path) as stream:
        stream.write(data)


def listed(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with whole_file(path) as stream:
        stream.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert listed(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, BrokenPipeError])
def test_a_failing_block_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")

    def fail() -> None:
        with whole_file(path) as stream:
            stream.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert listed(tmp_path) == ["a.csv"]


def test_a_new_file_has_the_usual_rights_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    (tmp_path / "private").touch(0o600)
    for name in ("new", "private"):
        write(tmp_path / name)
    rights = {name: (tmp_path / name).stat().st_mode for name in listed(tmp_path)}
    assert rights["new"] == rights["usual"]
    assert stat.S_IMODE(rights["private"]) == 0o600


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "real.csv").write_bytes(b"old")
    for name, target in (("link", "folder/real.csv"), ("ahead", "folder/new.csv")):
        (tmp_path / name).symlink_to(target)
        write(tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / target).read_bytes() == b"new"
    assert listed(folder) == ["new.csv", "real.csv"]


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(KndbError, match=r"a cannot be written: .*links"):
        write(tmp_path / "a")
    assert (tmp_path / "a").is_symlink()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [(".", "is a folder"), ("missing/a.csv", "There is no folder .*missing; make it")],
)
def test_a_folder_and_a_missing_folder_are_refused(
    tmp_path: Path, name: str, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        write(tmp_path / name)
    assert listed(tmp_path) == []


def test_a_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    duckdb.connect(str(path)).close()
    before = path.read_bytes()
    with pytest.raises(UsageError, match="is a database"):
        write(path)
    assert path.read_bytes() == before


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """A named pipe, and what was read from it once the test's writing has ended."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    yield path, read
    reader.join(10)
    assert not reader.is_alive()
    assert read == [b"new"]


@pytest.mark.parametrize("linked", [False, True])
def test_a_named_pipe_is_written_into(fifo: tuple[Path, list[bytes]], linked: bool) -> None:
    path, _ = fifo
    target = path
    if linked:
        target = path.with_name("link")
        target.symlink_to("fifo")
    write(target)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert target.is_symlink() == linked


@superuser
def test_a_device_is_written_into(tmp_path: Path) -> None:
    path = tmp_path / "null"
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        path.open("wb").close()
    except PermissionError:
        pytest.skip("no devices can be made here")
    write(path)
    assert stat.S_ISCHR(path.stat().st_mode)
    assert listed(tmp_path) == ["null"]


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.chdir(tmp_path)  # the whole path may be too long for a socket
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(KndbError, match="s cannot be written"):
            write(Path("s"))
        assert stat.S_ISSOCK(os.stat("s").st_mode)


CODE = """
import sys
from pathlib import Path
from kndb.files import whole_file
with whole_file(Path(sys.argv[1])) as stream:
    stream.write(b"new")
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="there is no /proc here")
def test_an_open_file_is_gone_on_with_where_it_stands(tmp_path: Path) -> None:
    link = tmp_path / "stdout"
    link.symlink_to("/proc/self/fd/1")  # as /dev/stdout is one
    log = tmp_path / "log"
    log.write_bytes(b"old ")
    with log.open("ab") as stream:
        subprocess.run([sys.executable, "-c", CODE, str(link)], stdout=stream, check=True)
    assert log.read_bytes() == b"old new"
    piped = subprocess.run([sys.executable, "-c", CODE, str(link)], stdout=-1, check=True)
    assert piped.stdout == b"new"
    assert listed(tmp_path) == ["log", "stdout"]


def test_text_is_utf8_with_lines_as_they_are(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a") as stream, text_of(stream) as text:
        text.write("中国\n")
    assert (tmp_path / "a").read_bytes() == "中国\n".encode()


def test_an_error_about_another_file_is_not_taken_for_one_about_this(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a"):
        (tmp_path / "missing").read_bytes()
