import subprocess
import sys
from pathlib import Path

import attrs
import platformdirs
import pytest

from tailrace.model.brand import Brand
from tailrace.model.convert import structure, unstructure
from tailrace.model.errors import ConfigurationError
from tailrace.plugins.selection import PluginSelection
from tailrace.settings import Settings, load_settings

ALL = (
    "admins, brand, credentials, delivery, home, jobs, notifications, plugins, retention, schedules, sinks, store, "
    "user, vault, worker"
)


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_file_and_variables_the_defaults_hold() -> None:
    settings = load_settings(environ={"PATH": "/bin", "TAILRACEX": "1"})
    assert settings == Settings()
    assert settings.home == platformdirs.user_data_path("tailrace", appauthor=False)
    assert settings.user == ""
    assert settings.plugins == PluginSelection(allow=None, deny=(), prefer={})


def test_the_environment_of_the_process_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILRACE_USER", "ops")
    assert load_settings().user == "ops"


def test_the_file_in_the_working_folder_is_read(working_folder: Path) -> None:
    write(
        working_folder / "tailrace.toml",
        'home = "data"\nuser = "ops"\n[plugins]\nallow = ["csv", "pool"]\ndeny = ["sink.*"]\n'
        '[plugins.prefer]\n"format.csv" = "other"\n',
    )
    assert load_settings(environ={}) == Settings(
        home=working_folder / "data",
        user="ops",
        plugins=PluginSelection(allow=("csv", "pool"), deny=("sink.*",), prefer={"format.csv": "other"}),
    )


def test_variables_win_over_the_file_one_by_one(working_folder: Path) -> None:
    write(working_folder / "tailrace.toml", 'user = "file"\nhome = "/srv/file"\n[plugins]\ndeny = ["a"]\n')
    settings = load_settings(
        environ={
            "TAILRACE_USER": "variable",
            "TAILRACE_PLUGINS_ALLOW": "csv, json",
            "TAILRACE_PLUGINS_PREFER": "format.csv=one,sink.disk=two",
        }
    )
    assert settings == Settings(
        home=Path("/srv/file"),
        user="variable",
        plugins=PluginSelection(allow=("csv", "json"), deny=("a",), prefer={"format.csv": "one", "sink.disk": "two"}),
    )


def test_an_empty_variable_counts_as_none(working_folder: Path) -> None:
    write(working_folder / "tailrace.toml", 'user = "file"\n')
    assert load_settings(environ={"TAILRACE_USER": "", "TAILRACE_CONFIG": ""}).user == "file"


def test_a_named_file_wins_over_a_variable_and_that_over_the_working_folder(working_folder: Path) -> None:
    write(working_folder / "tailrace.toml", 'user = "working folder"')
    named = write(working_folder / "named.toml", 'user = "named"')
    variable = write(working_folder / "variable.toml", 'user = "variable"')
    environ = {"TAILRACE_CONFIG": str(variable)}
    assert load_settings(named, environ).user == "named"
    assert load_settings(None, environ).user == "variable"
    assert load_settings(None, {}).user == "working folder"


def test_a_relative_home_counts_from_the_file_and_from_the_working_folder(working_folder: Path) -> None:
    file = write(working_folder / "etc" / "tailrace.toml", 'home = "data"')
    assert load_settings(file, {}).home == working_folder / "etc" / "data"
    assert load_settings(file, {"TAILRACE_HOME": "here"}).home == working_folder / "here"


def test_the_files_of_a_brand_count_from_the_settings_file_too(working_folder: Path) -> None:
    text = '[brand]\nname = "Ops"\nlogo = "logo.svg"\nfallback_fonts = ["fonts/a.ttf", "/b.ttf"]\npalette = ["#102030"]'
    file = write(working_folder / "etc" / "tailrace.toml", text)
    brand = load_settings(file, {"TAILRACE_BRAND_PAPER": "Letter", "TAILRACE_BRAND_BOLD_FONT": "bold.ttf"}).brand
    etc = working_folder / "etc"
    fallbacks = (etc / "fonts" / "a.ttf", Path("/b.ttf"))
    expected = Brand("Ops", etc / "logo.svg", palette=("#102030",), fallback_fonts=fallbacks, paper="Letter")
    assert brand == attrs.evolve(expected, bold_font=working_folder / "bold.ttf")
    assert structure(unstructure(Settings(brand=brand)), Settings, what="The settings").brand == brand


def test_a_tilde_is_the_home_of_the_user(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    file = write(working_folder / "tailrace.toml", 'home = "~/tailrace"')
    assert load_settings(file, {}).home == Path("/home/somebody/tailrace")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "usr = 'me'",
            f"unknown key 'usr', there is {ALL} @ $",
        ),
        (
            "[plugin]\ndeny = ['x']",
            f"unknown key 'plugin', there is {ALL} @ $",
        ),
        ("[plugins]\ndney = ['x']", "unknown key 'dney', there is allow, deny, prefer @ $.plugins"),
        ("[brand]\naccent = 'red'", "accent: a colour is written #0b5fae @ $.brand"),
        ("[brand]\npalette = []", "palette has at least one colour, such as #0b5fae @ $.brand"),
        ("[brand]\npaper = 'A5'", "expected one of 'A4', 'Letter' @ $.brand.paper"),
        ("user = 5", "expected text, got int @ $.user"),
        ("home = true", "expected a path as text, got bool @ $.home"),
        ("plugins = ['csv']", "expected an object, got list @ $.plugins"),
        ("[plugins]\ndeny = 'csv'", "expected a list, got text @ $.plugins.deny"),
        ("[plugins]\ndeny = ['a', 1]", "expected text, got int @ $.plugins.deny[1]"),
        ("[plugins.prefer]\n'format.csv' = 1", "expected text, got int @ $.plugins.prefer['format.csv']"),
        ("[plugins]\nprefer = ['a']", "expected an object, got list @ $.plugins.prefer"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_path(working_folder: Path, text: str, problem: str) -> None:
    file = write(working_folder / "t.toml", text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, {})
    assert caught.value.message == f"The settings file {file} is not valid:\n  - {problem}"
    assert caught.value.exit_code == 2


def test_a_second_mistake_of_the_same_kind_is_told_as_the_first(working_folder: Path) -> None:
    # The converter keeps what it learnt about a type; that must not be less strict.
    file = write(working_folder / "t.toml", "[plugins]\nprefer = ['a']")
    for _ in range(3):
        with pytest.raises(ConfigurationError, match=r"expected an object, got list @ \$\.plugins\.prefer"):
            load_settings(file, {})


def test_every_problem_is_told_at_once_and_no_value(working_folder: Path) -> None:
    file = write(working_folder / "t.toml", "user = 5\nnonsense = 'hunter2'\n[plugins]\nallow = 'hunter3'")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, {})
    assert caught.value.message.count("\n") == 3
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"user = ", "is not TOML: Invalid value (at end of document)."),
        (b"user = '\xff'", "is not UTF-8 text."),
    ],
)
def test_a_file_that_is_not_toml_is_told(working_folder: Path, content: bytes, problem: str) -> None:
    file = working_folder / "t.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, {})
    assert caught.value.message == f"The settings file {file} {problem}"


def test_a_file_that_is_not_there_or_a_folder_is_told(working_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.toml does not exist\.$"):
        load_settings(working_folder / "missing.toml", {})
    with pytest.raises(ConfigurationError, match=r"cannot be read: Is a directory\.$"):
        load_settings(working_folder, {})


def test_a_misspelt_variable_is_an_error_and_corrected() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ={"TAILRACE_PLUGIN_DENY": "csv"})
    assert caught.value.message == "There is no setting for the environment variable TAILRACE_PLUGIN_DENY."
    assert caught.value.hint == "Did you mean TAILRACE_PLUGINS_DENY?"
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ={"TAILRACE_XYZ_QQQ_WWWWWWW": "1"})
    assert caught.value.hint.startswith("There is: TAILRACE_ADMINS, TAILRACE_BRAND_ACCENT, ")


def test_a_variable_that_cannot_be_read_is_told_without_its_value() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ={"TAILRACE_PLUGINS_PREFER": "hunter2"})
    assert caught.value.message == (
        "The environment variable TAILRACE_PLUGINS_PREFER cannot be used: "
        "expected name=value pairs, separated by commas."
    )


def test_loading_the_defaults_imports_little(working_folder: Path) -> None:
    code = (
        "import sys; from tailrace.settings import load_settings; load_settings(environ={})\n"
        "print(sorted({'typed_settings', 'cattrs', 'polars', 'tomllib', 'pluggy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=working_folder)
    assert done.stdout == "[]\n"


def test_a_user_without_a_home_is_told_to_name_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_number: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ={})
    assert caught.value.message.startswith("There is no home folder for this user")
    assert caught.value.hint == "Name a folder: set TAILRACE_HOME, or HOME."
    assert load_settings(environ={"TAILRACE_HOME": "/var/lib/tailrace"}).home == Path("/var/lib/tailrace")
