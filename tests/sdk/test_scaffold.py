"""Projects of new plugins, as far as no wheels are needed; tests/packaging/test_scaffold.py installs and uses them."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from tailrace_sdk.scaffold import KINDS, PluginName, make_project, new_project
from tailrace_sdk.scaffold.naming import LONGEST

from tailrace import CONTRACT, AlreadyExistsError, RequestError, StorageError, __version__
from tailrace.cli import app

ROOT = Path(__file__).resolve().parents[2]
# As short and as long as names get, and with all that may be in one.
NAMES = ("x", "drop-box_2", "a" * LONGEST)


def files(kind: str, name: str) -> Mapping[str, str]:
    return new_project(PluginName(kind, name)).files


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_whole_and_says_the_right_names(kind: str, name: str) -> None:
    made = files(kind, name)
    package = f"tailrace_{kind}_{name.replace('-', '_')}"
    project = tomllib.loads(made["pyproject.toml"])
    assert project["project"]["entry-points"] == {f"tailrace.{kind}s": {name: package}}
    assert project["project"]["name"] == f"tailrace-{kind}-{name.replace('_', '-')}"
    assert f"src/{package}/py.typed" in made
    assert not [path for path, text in made.items() if re.search(r"<<|>>", text.replace(">>>", "") + path)]
    for path, text in made.items():
        if path.endswith(".py"):
            tree = ast.parse(text)
            assert ast.get_docstring(tree), path
        assert text == "" or text.endswith("\n"), path
    assert f'tailrace_contract = "{CONTRACT}"' in made[f"src/{package}/__init__.py"]


def test_the_tests_of_the_project_run_on_each_python_that_tailrace_runs_on() -> None:
    workflow = yaml.safe_load(files("sink", "x")[".github/workflows/test.yml"])
    core = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text())["project"]
    pythons = [text.rpartition(" ")[2] for text in core["classifiers"] if re.search(r":: 3\.\d+$", text)]
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == pythons
    assert tomllib.loads(files("sink", "x")["pyproject.toml"])["project"]["requires-python"] == core["requires-python"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_depends_on_is_what_the_kit_depends_on(kind: str) -> None:
    project = tomllib.loads(files(kind, "x")["pyproject.toml"])
    kit = tomllib.loads((ROOT / "sdk" / "pyproject.toml").read_text())["project"]
    assert set(project["project"]["dependencies"]) <= set(kit["dependencies"])
    (of_core,) = [text for text in kit["dependencies"] if text.startswith("tailrace-core")]
    assert of_core.replace("core", "sdk") in project["dependency-groups"]["dev"]
    assert kit["version"] == __version__


@pytest.mark.parametrize("name", NAMES)
def test_it_is_clean_whatever_the_length_of_its_name(name: str, tmp_path: Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is in the session lint, and in the environment of developers")
    for kind in KINDS:
        make_project(new_project(PluginName(kind, name)), tmp_path / kind)
    for check in (("format", "--diff"), ("check",)):
        done = subprocess.run([ruff, *check, "--no-cache", tmp_path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Parquet",
        "a b",
        "../x",
        'a"b',
        "a'b",
        "a\nb",
        "ä",
        "1x",
        "a--b",
        "-a",
        "a-",
        "a.b",
        "a:b",
        "<<kind>>",
        "a" * 99,
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="name of a plugin") as caught:
        PluginName("format", name)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["format", "format-parquet", "tailrace-format-parquet", "tailrace_parquet"])
def test_a_name_that_says_the_kind_is_refused_with_the_better_one(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        PluginName("format", name)
    assert caught.value.hint.endswith("new format NAME" if name == "format" else "new format parquet")


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    project = new_project(PluginName("sink", "x"))
    for what in ("folder", "file", "link"):
        place = tmp_path / what
        if what == "folder":
            place.mkdir()
        elif what == "file":
            place.write_text("mine")
        else:
            place.symlink_to(tmp_path / "nowhere")
        with pytest.raises(AlreadyExistsError, match="nothing in it is touched"):
            make_project(project, place)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "link"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_on_the_way_there_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError) as refused:
        make_project(new_project(PluginName("sink", "drop")), tmp_path / "file" / "drop")
    assert not isinstance(refused.value, AlreadyExistsError)
    assert "a part of the path is not a folder" in refused.value.message
    assert (tmp_path / "file").read_text() == "mine"


def test_what_could_not_be_written_whole_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text = Path.write_text

    def full(path: Path, *arguments: object, **more: object) -> int:
        if path.name == "README.md":
            raise OSError(28, "No space left on device")
        return write_text(path, *arguments, **more)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match="full"):
        make_project(new_project(PluginName("sink", "x")), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAILRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def test_the_command_makes_the_project_and_says_what_is_in_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["plugins", "new", "source", "proxy_pool", "--dir", "my plugins/new", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    made = {
        str(path.relative_to(here / told["folder"])) for path in (here / told["folder"]).rglob("*") if path.is_file()
    }
    assert made == set(told["files"]) == set(files("source", "proxy_pool"))
    assert (told["distribution"], told["package"]) == ("tailrace-source-proxy-pool", "tailrace_source_proxy_pool")
    shutil.rmtree(here / "my plugins")
    assert app.main(["plugins", "new", "source", "proxy_pool", "--dir", "my plugins/new"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  cd 'my plugins/new'" in lines
    assert max(map(len, lines)) <= 80
    assert all(any(line.startswith(f"  {path} ") for line in lines) for path in made)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("format", "csv"), "There is a format 'csv' already, of tailrace-format-csv"),
        (("sink", "disk"), "There is a sink 'disk' already"),
        (("sink", "Drop"), "'Drop' cannot be the name of a plugin"),
        (("fromat", "x"), 'Did you mean "format"?'),
        (("hook", "x"), "Choose from"),
        (("format",), "needs NAME"),
    ],
)
@pytest.mark.usefixtures("here")
def test_the_command_says_why_not(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["plugins", "new", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert [path for path in Path().iterdir() if path.name != "home"] == []


def test_without_the_sdk_the_command_says_what_to_install(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("tailrace_sdk.scaffold")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tailrace_sdk.scaffold", None)
    assert app.main(["plugins", "new", "sink", "x"]) == 2
    assert "pip install tailrace-sdk" in capsys.readouterr().err
    assert list(here.glob("tailrace-*")) == []
