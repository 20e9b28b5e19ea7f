import logging
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tailrace.model.errors import (
    NotAllowedError,
    PluginConflictError,
    PluginContractError,
    PluginError,
    PluginLoadError,
    UnknownNameError,
)
from tailrace.plugins.discovery import discover
from tailrace.plugins.hookspecs import hookimpl
from tailrace.plugins.kinds import ExportEvent
from tailrace.plugins.registry import PluginEntry, Registry
from tailrace.plugins.selection import PluginSelection

FORMAT = """
import attrs
from tailrace import hookimpl

@attrs.frozen
class Options:
    pass

class Words:
    summary = "One word per line."
    options_type = Options
    def layout(self, options): ...
    def write(self, call): ...
    def count_rows(self, call): ...

@hookimpl
def tailrace_format():
    return Words()
"""

SINK = FORMAT.replace("tailrace_format", "tailrace_sink").replace(
    "def layout(self, options): ...", "def staging(self, call): ...\n    def deliver(self, call): ..."
)

EVENT = ExportEvent("started", "id", "pool", "csv", "me", datetime(2026, 8, 15, tzinfo=UTC))


def entry_of(registry: Registry, name: str) -> PluginEntry:
    (entry,) = [entry for entry in registry.entries() if entry.name == name]
    return entry


@pytest.fixture
def words(distribute: Any, importable: Any) -> Path:
    folder: Path = distribute(
        "words-format", plugins={"format": {"words": "words_format"}}, modules={"words_format": FORMAT}
    )
    importable(folder)
    return folder


@pytest.mark.usefixtures("words")
def test_a_plugin_is_listed_by_its_metadata_and_imported_on_first_use() -> None:
    registry = Registry()
    assert entry_of(registry, "words") == PluginEntry(
        "words", "format", "words-format", "1.0", "words_format", "available"
    )
    assert "words_format" not in sys.modules
    loaded = registry.format("words")
    assert (loaded.name, loaded.kind, loaded.distribution, loaded.version) == ("words", "format", "words-format", "1.0")
    assert loaded.object.summary == "One word per line."
    assert entry_of(registry, "words").status == "loaded"
    assert registry.format("words") is loaded


def test_the_first_party_plugins_are_found() -> None:
    offered = {(entry.kind, entry.name) for entry in Registry().entries()}
    assert {
        ("source", "pool"),
        ("source", "analytics"),
        ("format", "csv"),
        ("format", "json"),
        ("sink", "disk"),
    } <= offered


def test_entries_come_by_kind_and_name(distribute: Any, importable: Any) -> None:
    importable(
        distribute(
            "many",
            plugins={"sink": {"b": "m", "a": "m"}, "source": {"z": "m"}, "hook": {"h": "m"}, "format": {"f": "m"}},
        )
    )
    own = [(entry.kind, entry.name) for entry in Registry().entries() if entry.distribution == "many"]
    assert own == [("source", "z"), ("format", "f"), ("sink", "a"), ("sink", "b"), ("hook", "h")]


@pytest.mark.usefixtures("words")
def test_two_registries_share_nothing() -> None:
    first, second = Registry(), Registry()
    first.format("words")
    assert entry_of(second, "words").status == "available"
    assert first.format("words").object is not second.format("words").object


@pytest.mark.usefixtures("words")
def test_ten_threads_import_a_plugin_once() -> None:
    registry, found = Registry(), []
    barrier = threading.Barrier(10)

    def ask() -> None:
        barrier.wait()
        found.append(registry.format("words"))

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1
    assert len(found) == 10


READER = FORMAT.replace(
    "def layout", "def read_tables(self, call): ...\n    def recognises(self, head): ANSWER\n    def layout"
)


@pytest.fixture
def readers(distribute: Any, importable: Any) -> None:
    answers = {"a": "raise ValueError('S3cret')", "b": "raise SystemExit(3)", "c": "return False", "d": "return True"}
    importable(
        distribute(
            "readers",
            plugins={"format": {name: f"reader_{name}" for name in answers}},
            modules={f"reader_{name}": READER.replace("ANSWER", answer) for name, answer in answers.items()},
        )
    )


@pytest.mark.usefixtures("readers")
def test_a_format_that_raises_when_asked_for_a_file_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tailrace"):
        reader = Registry().table_reader(b"head")
    assert reader is not None
    assert reader.name == "d"
    assert [record.getMessage() for record in caplog.records] == [
        "The format 'a' raised ValueError when asked for a file.",
        "The format 'b' raised SystemExit when asked for a file.",
    ]


def test_ctrl_c_in_a_format_that_is_asked_goes_through(distribute: Any, importable: Any) -> None:
    code = READER.replace("ANSWER", "raise KeyboardInterrupt")
    importable(distribute("reader", plugins={"format": {"a": "reader_a"}}, modules={"reader_a": code}))
    with pytest.raises(KeyboardInterrupt):
        Registry().table_reader(b"head")


# --- what can be wrong with a plugin ------------------------------------------------------------------------------


BROKEN: dict[str, tuple[str, type[PluginError], str]] = {
    "raises": ("raise ValueError('no')", PluginLoadError, "it raised ValueError: no when it was imported"),
    "raises_nothing_said": ("raise ValueError", PluginLoadError, "it raised ValueError when it was imported"),
    "leaks": (
        "raise OSError('no answer from postgresql://me:hunter2@db.example.com/log')",
        PluginLoadError,
        "it raised OSError: no answer from postgresql://db.example.com/log when it was imported",
    ),
    "exits": ("import sys; sys.exit(3)", PluginLoadError, "it raised SystemExit: 3 when it was imported"),
    "syntax": ("def", PluginLoadError, "it raised SyntaxError: "),
    "needs": (
        "import something_missing",
        PluginLoadError,
        "it cannot be imported: ModuleNotFoundError: No module named 'something_missing'",
    ),
    "misspelt": (
        FORMAT.replace("tailrace_format", "tailrace_formta"),
        PluginLoadError,
        "it implements a hook that does not exist: 'tailrace_formta' (did it mean 'tailrace_format'?)",
    ),
    "misspelt_beside": (
        FORMAT + "\n@hookimpl\ndef unlike_anything(): ...\n",
        PluginLoadError,
        "it implements a hook that does not exist: 'unlike_anything'",
    ),
    "undecorated": (
        FORMAT.replace("@hookimpl", ""),
        PluginContractError,
        "it does not implement tailrace_format()",
    ),
    "other_kind": (SINK, PluginContractError, "it does not implement tailrace_format()"),
    "arguments": (
        FORMAT.replace("def tailrace_format():", "def tailrace_format(options):"),
        PluginLoadError,
        "its hooks cannot be registered: PluginValidationError: ",
    ),
    "hook_raises": (
        FORMAT.replace("return Words()", "raise OSError('gone')"),
        PluginLoadError,
        "its tailrace_format() raised OSError: gone",
    ),
    "hook_exits": (
        FORMAT.replace("return Words()", "raise SystemExit"),
        PluginLoadError,
        "its tailrace_format() raised SystemExit",
    ),
    "yields": (
        FORMAT.replace("return Words()", "yield Words()"),
        PluginContractError,
        "its tailrace_format() yields or awaits instead of returning",
    ),
    "awaits": (
        FORMAT.replace("def tailrace_format", "async def tailrace_format"),
        PluginContractError,
        "its tailrace_format() yields or awaits instead of returning",
    ),
    "returns_none": (
        FORMAT.replace("return Words()", "return None"),
        PluginContractError,
        "its tailrace_format() returned a NoneType, which has no count_rows, layout, options_type, summary, write",
    ),
    "returns_class": (
        FORMAT.replace("return Words()", "return Words"),
        PluginContractError,
        "its tailrace_format() returned the class Words instead of an instance of it",
    ),
    "half_a_format": (
        FORMAT.replace("class Words", "class Almost")
        .replace("Words()", "Almost()")
        .replace("def write(self, call): ...", ""),
        PluginContractError,
        "its tailrace_format() returned an Almost, which has no write",
    ),
    "mute": (
        FORMAT.replace('"One word per line."', "None"),
        PluginContractError,
        "its tailrace_format() returned an object whose summary is not a text",
    ),
    "no_options_class": (
        FORMAT.replace("options_type = Options", "options_type = dict"),
        PluginContractError,
        "its tailrace_format() returned an object whose options_type is not an attrs class",
    ),
    "twice": (
        FORMAT + "\n@hookimpl(specname='tailrace_format')\ndef again():\n    return Words()\n",
        PluginContractError,
        "it implements tailrace_format() 2 times",
    ),
    "wrapper": (
        FORMAT.replace("@hookimpl", "@hookimpl(wrapper=True)").replace("return Words()", "yield"),
        PluginContractError,
        "its tailrace_format() is a wrapper, but must be a plain function",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_told_when_its_name_is_asked_for_and_spoils_no_other(
    case: str, distribute: Any, importable: Any
) -> None:
    code, error, reason = BROKEN[case]
    importable(
        distribute(
            f"broken-{case}",
            version="2.1",
            plugins={"format": {"broken": f"broken_{case}", "words": f"fine_beside_{case}"}},
            modules={f"broken_{case}": code, f"fine_beside_{case}": FORMAT},
        )
    )
    registry = Registry()
    with pytest.raises(error) as caught:
        registry.format("broken")
    assert type(caught.value) is error
    assert caught.value.plugin == "broken"
    assert caught.value.message.startswith(f"The format 'broken' of broken-{case}==2.1 cannot be used: {reason}")
    assert f"pip install --upgrade broken-{case}" in caught.value.hint
    assert registry.format("words").object.summary == "One word per line."
    entry = entry_of(registry, "broken")
    assert entry.status == "failed"
    assert entry.reason.startswith(reason)
    (failure,) = registry.failures()
    assert (failure.kind, failure.name, failure.distribution, failure.version) == (
        "format",
        "broken",
        f"broken-{case}",
        "2.1",
    )
    assert failure.reason.startswith(reason)


def test_a_broken_plugin_is_tried_once(distribute: Any, importable: Any) -> None:
    code = "import builtins\nbuiltins.tries = getattr(builtins, 'tries', 0) + 1\nraise ValueError('no')"
    importable(distribute("once", plugins={"sink": {"once": "once_sink"}}, modules={"once_sink": code}))
    registry = Registry()
    errors = []
    for _ in range(3):
        with pytest.raises(PluginLoadError) as caught:
            registry.sink("once")
        errors.append(caught.value)
    import builtins

    assert builtins.tries == 1  # type: ignore[attr-defined]  # set by the plugin
    assert len({id(error) for error in errors}) == 3
    assert isinstance(errors[2].__cause__, ValueError)


def test_ctrl_c_in_an_import_goes_through(distribute: Any, importable: Any) -> None:
    importable(
        distribute(
            "slow", plugins={"format": {"slow": "slow_format"}}, modules={"slow_format": "raise KeyboardInterrupt"}
        )
    )
    registry = Registry()
    with pytest.raises(KeyboardInterrupt):
        registry.format("slow")
    assert entry_of(registry, "slow").status == "available"


@pytest.mark.parametrize("where", ["register", "obtain"])
def test_ctrl_c_in_a_plugin_goes_through(where: str, distribute: Any, importable: Any) -> None:
    code = FORMAT.replace("return Words()", "raise KeyboardInterrupt")
    if where == "register":
        code = FORMAT + "\nclass Nosy:\n    def __dir__(self): raise KeyboardInterrupt\nnosy = Nosy()\n"
    module = f"stop_{where}"
    target = module if where == "obtain" else f"{module}:nosy"
    importable(distribute(f"stop-{where}", plugins={"format": {"stop": target}}, modules={module: code}))
    with pytest.raises(KeyboardInterrupt):
        Registry().format("stop")


def test_a_hook_of_a_later_version_may_be_marked_optional(distribute: Any, importable: Any) -> None:
    code = FORMAT + "\n@hookimpl(optionalhook=True)\ndef tailrace_of_next_year(): ...\n"
    importable(distribute("modern", plugins={"format": {"modern": "modern_format"}}, modules={"modern_format": code}))
    assert Registry().format("modern").object.summary == "One word per line."


def test_one_module_offers_two_plugins_and_a_plugin_may_be_an_object(distribute: Any, importable: Any) -> None:
    code = (
        FORMAT
        + SINK.replace("class Words", "class Post").replace("return Words()", "return Post()")
        + "\nclass Door:\n    @hookimpl\n    def tailrace_format(self):\n        return Words()\ndoor = Door()\n"
    )
    importable(
        distribute(
            "both",
            plugins={"format": {"both": "both_kinds", "door": "both_kinds:door"}, "sink": {"both": "both_kinds"}},
            modules={"both_kinds": code},
        )
    )
    registry = Registry()
    assert type(registry.format("both").object).__name__ == "Words"
    assert type(registry.sink("both").object).__name__ == "Post"
    assert type(registry.format("door").object).__name__ == "Words"


# --- names that lead nowhere --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("words")
def test_a_misspelt_name_is_corrected() -> None:
    with pytest.raises(UnknownNameError) as caught:
        Registry(PluginSelection(allow=("words-format",))).format("wrods")
    assert caught.value.message == "There is no format 'wrods'."
    assert caught.value.hint == "Did you mean 'words'? There is: words."
    assert caught.value.suggestion == "words"


@pytest.mark.parametrize(
    ("kind", "name"), [("format", "excel"), ("format", "pdf"), ("sink", "email"), ("source", "health")]
)
def test_a_first_party_plugin_that_is_not_installed_says_what_to_install(kind: str, name: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        Registry(discover=False).load(kind, name)
    assert caught.value.message == f"There is no {kind} {name!r}."
    assert caught.value.hint == f"It is not installed: pip install tailrace-{kind}-{name}"


# --- two distributions, one name ----------------------------------------------------------------------------------


@pytest.fixture
def rivals(distribute: Any, importable: Any, tmp_path: Path) -> None:
    for name in ("one", "two"):
        code = FORMAT.replace("One word per line.", f"Words of {name}.")
        importable(
            distribute(
                f"words-{name}",
                version=f"{len(name)}.0",
                plugins={"format": {"rival": f"rival_{name}"}},
                modules={f"rival_{name}": code},
                folder=tmp_path / name,
            )
        )


@pytest.mark.usefixtures("rivals")
def test_two_distributions_with_one_name_are_an_error_that_names_both_and_the_setting() -> None:
    registry = Registry()
    with pytest.raises(PluginConflictError) as caught:
        registry.format("rival")
    assert caught.value.message == (
        "Several distributions offer the format 'rival': words-one==3.0 (rival_one) and words-two==3.0 (rival_two)."
    )
    assert caught.value.hint == (
        'Pick one in the settings: [plugins.prefer] "format.rival" = "words-one"; or uninstall the other.'
    )
    rows = [(entry.distribution, entry.status, entry.reason) for entry in registry.entries() if entry.name == "rival"]
    assert rows == [
        ("words-one", "conflict", "also offered by words-two==3.0"),
        ("words-two", "conflict", "also offered by words-one==3.0"),
    ]
    assert not {"rival_one", "rival_two"} & set(sys.modules)


@pytest.mark.usefixtures("rivals")
def test_a_preference_picks_one() -> None:
    registry = Registry(PluginSelection(prefer={"format.rival": "Words_Two"}))
    assert registry.format("rival").object.summary == "Words of two."
    assert "rival_one" not in sys.modules
    rows = [(entry.distribution, entry.status, entry.reason) for entry in registry.entries() if entry.name == "rival"]
    assert rows == [
        ("words-two", "loaded", ""),
        ("words-one", "shadowed", "plugins.prefer picks words-two"),
    ]


@pytest.mark.usefixtures("rivals")
def test_a_preference_for_a_distribution_that_is_not_there_settles_nothing() -> None:
    with pytest.raises(PluginConflictError):
        Registry(PluginSelection(prefer={"format.rival": "words-three"})).format("rival")


@pytest.mark.usefixtures("rivals")
def test_denying_one_of_them_settles_it() -> None:
    registry = Registry(PluginSelection(deny=("words-one",)))
    assert registry.format("rival").object.summary == "Words of two."


# --- allow and deny -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("item", ["words", "format.words", "words-format", "Words_Format", "format.*", "wor?s", "*"])
def test_a_denied_plugin_is_not_imported(item: str) -> None:
    registry = Registry(PluginSelection(deny=(item,)))
    assert entry_of(registry, "words").status == "denied"
    with pytest.raises(NotAllowedError) as caught:
        registry.format("words")
    assert caught.value.message == (
        f"The format 'words' of words-format==1.0 must not be used: it is denied by {item!r} in plugins.deny."
    )
    assert caught.value.hint == "Change plugins.allow or plugins.deny in the settings."
    assert "words_format" not in sys.modules


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("item", ["sink.words", "word", "words-form", "csv"])
def test_a_deny_list_hits_nothing_else(item: str) -> None:
    assert Registry(PluginSelection(deny=(item,))).format("words").name == "words"


@pytest.mark.usefixtures("words")
def test_only_what_is_allowed_is_used_and_deny_wins() -> None:
    registry = Registry(PluginSelection(allow=("words",)))
    assert registry.format("words").name == "words"
    with pytest.raises(NotAllowedError, match=r"it is not listed in plugins\.allow"):
        registry.format("csv")
    with pytest.raises(NotAllowedError):
        Registry(PluginSelection(allow=("words",), deny=("words",))).format("words")
    with pytest.raises(NotAllowedError):
        Registry(PluginSelection(allow=())).format("words")


@pytest.mark.usefixtures("words")
def test_items_that_fit_nothing_are_known() -> None:
    selection = PluginSelection(
        allow=("words", "wrods"), deny=("csvv",), prefer={"format.words": "words-format", "format.x": "y"}
    )
    assert Registry(selection).unmatched() == (
        "plugins.allow: 'wrods'",
        "plugins.deny: 'csvv'",
        "plugins.prefer: format.x = 'y'",
    )


# --- plugins that a host hands over -------------------------------------------------------------------------------


class OwnFormat:
    __version__ = "7"

    @hookimpl
    def tailrace_format(self) -> object:
        return _Words()


class _Words:
    summary = "The host's own."

    def __init__(self) -> None:
        import attrs

        self.options_type = attrs.make_class("Options", [])

    def layout(self, options: Any) -> Any: ...
    def write(self, call: Any) -> Any: ...
    def count_rows(self, call: Any) -> Any: ...


def test_a_host_hands_over_plugins_and_switches_discovery_off() -> None:
    registry = Registry(explicit=[("mine", OwnFormat())], discover=False)
    assert [(entry.kind, entry.name, entry.status) for entry in registry.entries()] == [("format", "mine", "available")]
    loaded = registry.format("mine")
    assert loaded.object.summary == "The host's own."
    assert loaded.version == "7"
    assert loaded.distribution == __name__
    assert entry_of(registry, "mine").status == "loaded"


@pytest.mark.usefixtures("words")
def test_a_handed_over_plugin_wins_over_a_discovered_one_and_over_the_lists() -> None:
    registry = Registry(PluginSelection(deny=("*",)), explicit=[("words", OwnFormat())])
    assert registry.format("words").object.summary == "The host's own."
    assert [entry.distribution for entry in registry.entries() if entry.name == "words"] == [__name__]


def test_a_handed_over_module_is_taken_as_what_it_implements() -> None:
    module = ModuleType("two_in_one")
    exec(FORMAT + SINK.replace("class Words", "class Post").replace("return Words()", "return Post()"), vars(module))
    registry = Registry(explicit=[("two", module)], discover=False)
    assert {(entry.kind, entry.target) for entry in registry.entries()} == {
        ("format", "two_in_one"),
        ("sink", "two_in_one"),
    }
    assert type(registry.sink("two").object).__name__ == "Post"


def test_a_handed_over_plugin_without_hooks_is_refused_at_once() -> None:
    with pytest.raises(PluginLoadError) as caught:
        Registry(explicit=[("nothing", object())], discover=False)
    assert caught.value.message == "The plugin 'nothing' that was handed over implements none of Tailrace's hooks."
    assert "tailrace_format" in caught.value.hint


# --- observers ----------------------------------------------------------------------------------------------------


OBSERVER = """
import builtins
from tailrace import hookimpl
@hookimpl
def tailrace_export_event(event):
    builtins.seen.append(("NAME", event.name))
    RAISE
"""


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    monkeypatch.setattr("builtins.seen", found, raising=False)
    return found


def observers(distribute: Any, importable: Any, **codes: str) -> None:
    importable(
        distribute(
            "observers",
            plugins={"hook": {name: f"observer_{name}" for name in codes}},
            modules={f"observer_{name}": code for name, code in codes.items()},
        )
    )


def test_every_observer_is_told_and_what_one_raises_changes_nothing(
    distribute: Any, importable: Any, seen: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    observers(
        distribute,
        importable,
        a=OBSERVER.replace("NAME", "a").replace("RAISE", "raise ValueError('secret')"),
        b=OBSERVER.replace("NAME", "b").replace("RAISE", "raise SystemExit"),
        c=OBSERVER.replace("NAME", "c").replace("RAISE", "").replace("(event)", "()").replace("event.name", "'told'"),
        d=OBSERVER.replace("NAME", "d").replace("RAISE", ""),
        e="raise ValueError('at import')",
    )
    registry = Registry()
    with caplog.at_level(logging.WARNING, "tailrace"):
        registry.notify(EVENT)
        registry.notify(EVENT)
    assert seen == [("a", "started"), ("b", "started"), ("c", "told"), ("d", "started")] * 2
    messages = [record.getMessage() for record in caplog.records]
    assert messages.count("The observer 'a' raised ValueError; the export goes on.") == 2
    assert messages.count("The observer 'b' raised SystemExit; the export goes on.") == 2
    assert sum("The observer 'e' is left out." in message for message in messages) == 1
    assert not any("secret" in message for message in messages)


def test_an_observer_that_could_never_be_passed_its_event_is_refused(
    distribute: Any, importable: Any, seen: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    observers(distribute, importable, deaf=OBSERVER.replace("(event)", "(event=None)").replace("RAISE", ""))
    with caplog.at_level(logging.WARNING, "tailrace"):
        Registry().notify(EVENT)
    assert seen == []
    assert (
        "its tailrace_export_event() gives the argument 'event' a default, so that it would never be passed"
        in caplog.text
    )


def test_a_denied_observer_is_not_imported(distribute: Any, importable: Any, seen: list[Any]) -> None:
    observers(distribute, importable, shy=OBSERVER.replace("RAISE", ""))
    Registry(PluginSelection(deny=("hook.*",))).notify(EVENT)
    assert seen == []
    assert "observer_shy" not in sys.modules


def test_ctrl_c_in_an_observer_goes_through(distribute: Any, importable: Any, seen: list[Any]) -> None:
    observers(distribute, importable, stop=OBSERVER.replace("RAISE", "raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        Registry().notify(EVENT)
    assert len(seen) == 1


# --- metadata -----------------------------------------------------------------------------------------------------


def test_a_distribution_without_metadata_still_has_its_plugins(distribute: Any, importable: Any) -> None:
    importable(
        distribute("bare", metadata=False, plugins={"format": {"bare": "bare_format"}}, modules={"bare_format": FORMAT})
    )
    (found,) = [one for one in discover() if one.name == "bare"]
    assert (found.distribution, found.version) == ("unknown", "unknown")


def test_a_distribution_with_unreadable_metadata_still_has_its_plugins(distribute: Any, importable: Any) -> None:
    folder = distribute("garbled", metadata=False, plugins={"format": {"garbled": "garbled_format"}})
    (folder / "garbled-1.0.dist-info" / "METADATA").write_bytes(b"Name: \xff\xfe")
    importable(folder)
    (found,) = [one for one in discover() if one.name == "garbled"]
    assert (found.distribution, found.version) == ("unknown", "unknown")


def test_unreadable_entry_points_hide_no_other_distribution(
    distribute: Any, importable: Any, words: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = distribute("damaged", plugins={"format": {"damaged": "damaged_format"}}, folder=words.parent / "damaged")
    (folder / "damaged-1.0.dist-info" / "entry_points.txt").write_bytes(b"[tailrace.formats]\ndamaged = \xff\xfe")
    importable(folder)
    names = [one.name for one in discover()]
    assert "words" in names
    assert "damaged" not in names
    assert "The plugins of a distribution cannot be read: UnicodeDecodeError" in caplog.text


@pytest.mark.usefixtures("words")
def test_a_distribution_that_lies_twice_on_the_path_counts_once(
    distribute: Any, importable: Any, tmp_path: Path
) -> None:
    importable(
        distribute(
            "Words.Format", version="2.0", plugins={"format": {"words": "words_format"}}, folder=tmp_path / "newer"
        )
    )
    (found,) = [one for one in discover() if one.name == "words"]
    assert found.version == "2.0"


def test_other_groups_of_a_distribution_are_no_plugins(distribute: Any, importable: Any) -> None:
    folder = distribute("scripts", plugins={"format": {"f": "m"}})
    file = folder / "scripts-1.0.dist-info" / "entry_points.txt"
    file.write_text(file.read_text() + "\n[console_scripts]\nrun = m:run\n[tailrace.nonsense]\nx = y\n")
    importable(folder)
    assert [one.name for one in discover() if one.distribution == "scripts"] == ["f"]


def test_listing_imports_no_plugin_not_even_pluggy(distribute: Any) -> None:
    folder = distribute(
        "loud",
        plugins={"format": {"loud": "loud_format"}},
        modules={"loud_format": "print('imported'); import sys; sys.exit(9)"},
    )
    code = (
        "import sys; from tailrace.plugins.registry import Registry\n"
        "names = [entry.name for entry in Registry().entries()]\n"
        "assert 'loud' in names and 'csv' in names, names\n"
        "heavy = {'polars', 'sqlalchemy', 'cattrs', 'rich', 'pluggy', 'typed_settings', 'loud_format'}\n"
        "heavy |= {name for name in sys.modules if name.startswith('tailrace_')}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[]\n", "", 0)


def test_sys_exit_at_import_does_not_end_the_host(distribute: Any) -> None:
    folder = distribute(
        "quits", plugins={"format": {"quits": "quits_format"}}, modules={"quits_format": "import sys; sys.exit(9)"}
    )
    code = (
        "from tailrace.plugins.registry import Registry\n"
        "try: Registry().format('quits')\n"
        "except Exception as error: print(type(error).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("PluginLoadError\n", 0)
