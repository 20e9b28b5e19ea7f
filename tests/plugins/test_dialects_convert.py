"""``tailrace convert``, and the function behind it: from file to file, all or nothing, and what is lost is said."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from tailrace_source_pool import tailrace_source

from tailrace import (
    AlreadyExistsError,
    CancelledError,
    Context,
    CredentialMode,
    Loss,
    PoolFile,
    PoolKeeper,
    ReadPoolCall,
    RefusedError,
)
from tailrace.cli.app import main
from tailrace.restore.convert import (
    Conversion,
    InvalidListError,
    LossyError,
    convert,
    convert_file,
    dialect_of_name,
    in_words,
)

TIMES = "\N{MULTIPLICATION SIGN}"
VENDOR = "192.0.2.7:8080:ada:p@ss/1\n192.0.2.7:8080:eve:p@ss/1\n[2001:db8::1]:1080:ada:p@ss/2\n"
URLS = "http://ada:p%40ss%2F1@192.0.2.7:8080\nhttp://eve:p%40ss%2F1@192.0.2.7:8080\nhttp://ada:p%40ss%2F2@[2001:db8::1]:1080\n"


def keeper() -> PoolKeeper:
    source = tailrace_source()
    assert isinstance(source, PoolKeeper)
    return source


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    path = tmp_path / "vendor.txt"
    path.write_text(VENDOR)
    return path


def test_a_list_becomes_another_one(vendor: Path, tmp_path: Path) -> None:
    target = tmp_path / "urls.txt"
    made = convert(keeper(), ReadPoolCall(vendor), target)
    assert made == Conversion(target, made.from_dialect, "url", 3, 3, (), ())
    assert target.read_text() == URLS
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["urls.txt", "vendor.txt"]


def test_the_protocol_comes_from_the_name_or_from_whoever_knows(tmp_path: Path) -> None:
    source = tmp_path / "socks5.txt"
    source.write_text("192.0.2.7:1080\n")
    convert(keeper(), ReadPoolCall(source), tmp_path / "a.txt")
    convert(keeper(), ReadPoolCall(source, scheme="socks4"), tmp_path / "b.txt")
    assert (tmp_path / "a.txt").read_text() == "socks5://192.0.2.7:1080\n"
    assert (tmp_path / "b.txt").read_text() == "socks4://192.0.2.7:1080\n"


def test_problems_are_all_listed_and_nothing_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "list.txt", tmp_path / "urls.txt"
    source.write_text("192.0.2.7:80\nhost:81:hunter2secret:82\n" + "192.0.2.7:hunter2secret:x\n" * 29)
    with pytest.raises(InvalidListError) as caught:
        convert(keeper(), ReadPoolCall(source), target)
    error = caught.value
    assert (error.exit_code, error.count, len(error.problems)) == (3, 30, 30)
    assert error.message.startswith(f"{source} has 30 problems:\n  line 2: it could be host:port:user:password or ")
    assert error.message.endswith("… and 10 more")
    assert "--from-dialect" in error.hint
    assert "hunter2secret" not in f"{error!r}{error.hint}"
    assert not target.exists()


def test_the_dialect_decides_on_lines_that_are_ambiguous(tmp_path: Path) -> None:
    source = tmp_path / "list.txt"
    source.write_text("host:81:user:82\n")
    convert(keeper(), ReadPoolCall(source, "colon"), tmp_path / "a.txt")
    convert(keeper(), ReadPoolCall(source, "colon-userfirst"), tmp_path / "b.txt")
    assert (tmp_path / "a.txt").read_text() == "http://user:82@host:81\n"
    assert (tmp_path / "b.txt").read_text() == "http://host:81@user:82\n"


def test_losses_are_said_and_strict_refuses_them(vendor: Path, tmp_path: Path) -> None:
    target = tmp_path / "list"
    with pytest.raises(LossyError) as caught:
        convert(keeper(), ReadPoolCall(vendor), target, dialect="hostport", strict=True)
    lost = (Loss("credentials", 3, "hostport has no place for them"),)
    assert (caught.value.exit_code, caught.value.losses) == (3, lost)
    assert caught.value.message == "The dialect hostport cannot hold everything. Not carried over: all credentials."
    assert not target.exists()
    assert convert(keeper(), ReadPoolCall(vendor), target, dialect="hostport").losses == lost
    assert target.read_text() == "192.0.2.7:8080\n192.0.2.7:8080\n[2001:db8::1]:1080\n"
    assert convert(keeper(), ReadPoolCall(vendor), tmp_path / "strict.json", strict=True).losses == ()


def test_a_file_is_replaced_only_when_told(vendor: Path, tmp_path: Path) -> None:
    target = tmp_path / "urls.txt"
    target.write_text("mine")
    with pytest.raises(AlreadyExistsError):
        convert(keeper(), ReadPoolCall(vendor), target)
    assert target.read_text() == "mine"
    convert(keeper(), ReadPoolCall(vendor), target, overwrite=True)
    assert target.read_text() == URLS


def test_a_cancelled_conversion_writes_nothing(vendor: Path, tmp_path: Path) -> None:
    context = Context()
    file = keeper().read_pool(ReadPoolCall(vendor))
    context.cancel()
    with pytest.raises(CancelledError):
        convert_file(keeper(), file, tmp_path / "urls.txt", path=vendor, context=context)
    assert not (tmp_path / "urls.txt").exists()


def test_credentials_that_are_not_in_clear_are_not_written(vendor: Path, tmp_path: Path) -> None:
    @attrs.frozen
    class Sealed:
        """A keeper whose files are sealed."""

        mode: CredentialMode

        def read_pool(self, call: ReadPoolCall) -> PoolFile:
            return attrs.evolve(keeper().read_pool(call), credentials=self.mode)

        def __getattr__(self, name: str) -> Any:
            return getattr(keeper(), name)

    for mode in (CredentialMode.FULL, CredentialMode.REFERENCE):
        with pytest.raises(RefusedError, match="are not in clear"):
            convert(Sealed(mode), ReadPoolCall(vendor), tmp_path / "urls.txt")
    convert(Sealed(CredentialMode.SANITIZED), ReadPoolCall(vendor), tmp_path / "urls.txt")


@pytest.mark.parametrize(
    ("name", "dialect"),
    [("a.json", "json"), ("a.CSV", "csv"), ("a.yml", "clash"), ("a.conf", "proxychains"), ("colon.txt", "url")],
)
def test_the_name_says_what_a_file_shall_be(name: str, dialect: str) -> None:
    assert dialect_of_name(name) == dialect


def test_losses_in_words() -> None:
    losses = [
        Loss("credentials", 1, "colon cannot say them", proxies=True),
        Loss("scheme", 2, "clash has no socks4", proxies=True),
        Loss("credentials", 4, "no place"),
        Loss("scheme", 3, "socks5h becomes socks5"),
        Loss("tags", 10, "no place"),
        Loss("city", 3, "no place"),
    ]
    assert in_words(losses, read=10) == (
        "1 proxy (colon cannot say them), 2 proxies (clash has no socks4), 4 credentials, "
        "3 \N{MULTIPLICATION SIGN} scheme (socks5h becomes socks5), all tags, 3 \N{MULTIPLICATION SIGN} city"
    )
    assert in_words([Loss("host", 1, "none", proxies=True)], read=1) == "all proxies (none)"


# --- the command


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAILRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")

    def command(*words: str) -> tuple[int, str, str]:
        code = main(["convert", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.mark.usefixtures("vendor")
def test_the_command_says_what_it_did(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _err = run("vendor.txt", "list.txt", "--dialect", "hostport", "--scheme", "socks5h")
    assert code == 0
    assert out.splitlines() == [
        f"Converted 3 proxies from {out.split()[4]} to hostport.",
        "  list.txt",
        f"Not carried over: 3 {TIMES} scheme (socks5h is not said in hostport, read it with --scheme socks5h), all",
        "credentials.",
        "  scheme       3  socks5h is not said in hostport, read it with --scheme socks5h",
        "  credentials  3  hostport has no place for them",
    ]


@pytest.mark.usefixtures("vendor")
def test_the_command_gives_one_json_document(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = run("vendor.txt", "chain.conf", "--from-dialect", "colon", "--json", "--quiet")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document == {
        "path": "chain.conf",
        "from_dialect": "colon",
        "to_dialect": "proxychains",
        "read": 3,
        "written": 3,
        "losses": [],
        "notes": [],
    }


@pytest.mark.usefixtures("vendor")
def test_the_command_refuses_with_code_3(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = run("vendor.txt", "list.txt", "--dialect", "hostport", "--strict")
    assert (code, out) == (3, "")
    assert "Not carried over: all credentials" in err
    assert run("vendor.txt", "list.txt", "--from-dialect", "userinfo")[0] == 3
    assert run("vendor.txt", "list.txt", "--dialect", "squid")[0] == 2
    assert not os.path.lexists("list.txt")


@pytest.mark.usefixtures("vendor")
def test_the_command_takes_templates_both_ways(run: Callable[..., tuple[int, str, str]]) -> None:
    template = "{host}|{port}|{username}|{password}"
    assert run("vendor.txt", "own.txt", "--template", template)[0] == 0
    assert Path("own.txt").read_text().splitlines()[0] == "192.0.2.7|8080|ada|p@ss/1"
    assert run("own.txt", "urls.txt", "--from-dialect", "template", "--template", template)[0] == 0
    assert Path("urls.txt").read_text() == URLS


def test_the_command_says_how_many_were_left_out(run: Callable[..., tuple[int, str, str]]) -> None:
    Path("a.txt").write_text("http://a%3Ab:x@192.0.2.7:80\nhttp://192.0.2.8:80\n")
    code, out, _err = run("a.txt", "b.txt", "--dialect", "colon")
    assert code == 0
    assert out.splitlines()[0] == "Converted 1 of 2 proxies from url to colon."
    assert "1 proxy (colon cannot say their user name or password)" in out


def test_the_command_passes_notes_on(run: Callable[..., tuple[int, str, str]]) -> None:
    Path("a.yaml").write_text("proxies:\n  - {name: a, type: ss, server: h, port: 1}\n")
    code, out, _err = run("a.yaml", "b.txt")
    assert code == 0
    assert out.splitlines()[0] == "Converted 0 proxies from clash to url."
    assert "Note: Not imported, because no pool holds their type: 1" in out
