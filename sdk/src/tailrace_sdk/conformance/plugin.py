"""The standard tests that plugins of every kind have to pass: how they are found, imported and described."""

import functools
import importlib
import inspect
import typing
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from tailrace import Engine, Settings, UnknownNameError, build_options, structure
from tailrace_sdk.conformance.apart import Ended, done_apart
from tailrace_sdk.conformance.standard import Conformance, NotApplicable, standard

HEAVY = frozenset(
    {
        *("polars", "numpy", "pandas", "pyarrow", "scipy", "duckdb"),
        *("sqlalchemy", "alembic", "psycopg", "redis", "boto3", "botocore"),
        *("matplotlib", "plotnine", "PIL", "fpdf", "fontTools", "xlsxwriter", "openpyxl", "fastexcel"),
        *("httpx", "httpcore", "requests", "aiohttp", "urllib3", "cryptography", "nacl"),
    }
)
"""Packages that take long to import, or much memory: not before somebody uses the plugin."""


class PluginConformance(Conformance):
    """Standard tests of every plugin; subclass the class of a kind, not this one."""

    HEAVY: ClassVar[frozenset[str]] = frozenset()
    """Further packages that importing the plugin must not import."""

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Engine:
        """An engine that has this plugin and no other, with a home of its own."""
        return self.make_engine(tmp_path / "home")

    def make_engine(self, home: Path, *more: tuple[str, object], **host: Any) -> Engine:
        """An engine with this plugin.

        Args:
            home: Its home.
            more: Further plugins, each with its name.
            host: Further arguments of :class:`tailrace.Engine`.
        """
        settings = structure({"home": str(home), **self.settings}, Settings)
        return Engine(settings, plugins=[(self.name, self.plugin()), *more], discover=False, **host)

    @classmethod
    def plugin(cls) -> object:
        """The module or object that the entry point names, imported."""
        module, _, attribute = cls.target.partition(":")
        found: object = importlib.import_module(module)
        for part in filter(None, attribute.split(".")):
            found = getattr(found, part)
        return found

    def offered(self, engine: Engine) -> Any:
        """The source, format or sink itself."""
        return engine.registry.load(self.kind, self.name).object

    def plugin_options(self, engine: Engine, **more: Any) -> Any:
        """An instance of its options class, made of :attr:`options` and ``more``."""
        return self.offered(engine).options_type(**{**self.options, **more})

    @standard()
    def test_it_is_found_by_its_entry_point(self) -> None:
        """Installed, the plugin is found under its name, and nobody else offers that name.

        Declare it in pyproject.toml under ``[project.entry-points."tailrace.KINDs"]`` as ``name = "package.module"``,
        and install the distribution again: entry points are metadata of the installed distribution.
        """
        if not self.installed:
            raise NotApplicable("it is not installed")
        entries = Engine(Settings()).registry.entries()
        found = [
            (entry.target, entry.status) for entry in entries if (entry.kind, entry.name) == (self.kind, self.name)
        ]
        assert [target for target, _status in found] == [self.target]
        assert found[0][1] in {"available", "loaded"}

    @standard()
    def test_it_keeps_the_contract_of_its_kind(self, engine: Engine) -> None:
        """The hook hands over an object with the attributes and methods of its kind.

        The error that is raised says what is missing. Mark the hook with ``@hookimpl``; return an instance, no class.
        """
        offered = self.offered(engine)
        for name in {"open", "layout", "write", "count_rows", "staging", "deliver"} & set(dir(offered)):
            inspect.signature(getattr(offered, name)).bind(object())

    @standard()
    def test_its_summary_is_one_short_sentence(self, engine: Engine) -> None:
        """``summary`` is one line of at most 100 characters: ``tailrace plugins show`` prints it under the name.

        Say what the plugin reads, writes or where it delivers to, and leave the rest to the documentation.
        """
        summary = self.offered(engine).summary
        assert summary.strip() == summary
        assert "\n" not in summary
        assert 0 < len(summary) <= 100, f"{len(summary)} characters"

    @standard()
    def test_its_options_are_documented(self, engine: Engine) -> None:
        """Each option says in a sentence what it does: that is all users see in ``tailrace plugins show``.

        Declare options with ``tailrace.option(default, help="…")``.
        """
        cls = self.offered(engine).options_type
        assert {field.name: field.metadata.get("help", "") for field in attrs.fields(cls)} == {
            field.name: _sentence(field.metadata.get("help", "")) for field in attrs.fields(cls)
        }
        typing.get_type_hints(cls)

    @standard()
    def test_its_options_cannot_change_once_they_are_made(self, engine: Engine) -> None:
        """The options class is frozen: options travel to other threads and are written into manifests.

        Decorate it with ``@attrs.frozen``.
        """
        options = self.plugin_options(engine)
        for field in attrs.fields(type(options)):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                setattr(options, field.name, getattr(options, field.name))

    @standard()
    def test_secret_options_are_never_shown(self, engine: Engine) -> None:
        """An option that holds a password or key is declared ``secret=True``, and its value is in no ``repr``.

        Anything whose name says that it is secret counts. Better still, do not take secrets as options at all, but in
        the operator's settings, by reference (``Configurable``).
        """
        cls = self.offered(engine).options_type
        telling = ("password", "secret", "token", "api_key", "private_key")
        for field in attrs.fields(cls):
            if any(word in field.name.lower() for word in telling) and field.type is not bool:
                assert field.metadata.get("secret"), f"{field.name} is not declared secret"
            if field.metadata.get("secret"):
                assert not field.repr, f"{field.name} is in the repr of its options"

    @standard()
    def test_importing_it_is_light(self) -> None:
        """Importing the module of the entry point imports no heavy package, such as polars.

        ``tailrace plugins show`` imports plugins that nobody is going to use. Import what is heavy inside of the
        functions that use it, or inside of the hook.
        """
        ended = self._imported()
        assert ended.said is not None, ended.stderr
        assert sorted(set(ended.said["imported"]) & (HEAVY | self.HEAVY)) == []

    @standard()
    def test_importing_it_changes_nothing(self) -> None:
        """Importing it prints nothing, and leaves working folder, signals, threads and the environment as they were.

        Move what it does at import into the functions that need it.
        """
        ended = self._imported()
        assert ended.said is not None, ended.stderr
        assert (ended.stdout, ended.said["changed"]) == ("", [])

    @standard()
    def test_an_unknown_option_is_refused(self, engine: Engine) -> None:
        """A misspelt option is an error that says which options there are, never silently ignored.

        ``options_type`` has to be an attrs class that declares each option; do not take ``**options``.
        """
        with pytest.raises(UnknownNameError):
            build_options(self.offered(engine).options_type, {**self.options, "no_such_option": "1"}, owner=self.name)

    def _imported(self) -> Ended:
        return _imported(self.target.partition(":")[0])


@functools.cache
def _imported(module: str) -> Ended:
    return done_apart("tailrace_sdk.conformance.probes:import_and_tell", module)


def _sentence(text: str) -> str:
    """The text, if it is a sentence; otherwise what it should be like."""
    return text if text.strip().endswith((".", "!")) and text[:1].isupper() else "One sentence with its full stop."
