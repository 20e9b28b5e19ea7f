"""Settings of sinks: the operator's, strict, with secrets by reference."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from tailrace_sdk.fakes import LinesFormat, MemorySource, PostSink, memory_table

from tailrace import ConfigurationError, DeliverCall, Engine, ExportRequest, Keyring, Receipt, SinkRequest, User
from tailrace.plugins.sinks import no_secrets
from tailrace.settings import DeliverySettings, Settings, load_settings


@attrs.frozen
class GateSettings:
    """Settings of a sink."""

    house: str = "none"
    key: str = ""
    floors: tuple[int, ...] = ()


@attrs.define
class GateSink(PostSink):
    """A sink that has settings, and says what it got."""

    settings_type: type = GateSettings
    seen: list[tuple[Any, str]] = attrs.field(factory=list)

    def deliver_each(self, call: DeliverCall) -> list[Receipt]:
        self.seen.append((call.settings, call.secret(call.settings.key) if call.settings.key else ""))
        return [Receipt("gate", delivered=True, recipient=recipient) for recipient in call.recipients]


@pytest.fixture
def sink() -> GateSink:
    return GateSink()


def engine_of(home: Path, sink: PostSink, sinks: dict[str, Any], **more: Any) -> Engine:
    plugins = [("memory", MemorySource([memory_table("t", {"a": [1]})])), ("lines", LinesFormat()), ("gate", sink)]
    settings = Settings(home=home, sinks=sinks, delivery=DeliverySettings(**more))
    return Engine(settings, plugins=plugins, discover=False, keyring=Keyring(environ={"GATE_KEY": "open sesame\n"}))


@pytest.fixture
def export(tmp_path: Path, sink: GateSink) -> Iterator[Any]:
    engines = []

    def export(sinks: dict[str, Any], with_sink: PostSink = sink, **more: Any) -> Any:
        engine = engine_of(tmp_path / "home", with_sink, sinks, **more)
        engines.append(engine)
        request = ExportRequest("memory", "", "lines", sinks=(SinkRequest("gate", "ann"),))
        return engine.export(request, user=User("ada"))

    yield export
    for engine in engines:
        engine.store.close()


def test_a_sink_gets_its_settings_and_the_secrets_that_they_name(export: Any, sink: GateSink) -> None:
    export({"gate": {"house": "mill", "key": "env:GATE_KEY", "floors": [1, 2]}, "email": {"host": "x"}})
    export({})
    assert sink.seen == [
        (GateSettings("mill", "env:GATE_KEY", (1, 2)), "open sesame"),
        (GateSettings(), ""),
    ]
    assert "GATE_KEY" not in repr(sink.calls)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"hose": "mill"}, "unknown key 'hose', there is floors, house, key @ $"),
        ({"floors": ["1"]}, "expected a whole number, got text @ $.floors[0]"),
    ],
    ids=["misspelt", "wrong type"],
)
def test_settings_that_a_sink_has_not_are_refused_before_anything_is_read(
    export: Any, sink: GateSink, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        export({"gate": values})
    assert caught.value.message.startswith("What the settings say in [sinks.gate] is not valid:")
    assert words in caught.value.message
    assert sink.seen == []


def test_a_sink_without_settings_takes_none(export: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"has no settings, and \[sinks.gate\] gives it some"):
        export({"gate": {"house": "mill"}}, PostSink())
    assert export({"gate": {}}, PostSink()).complete


def test_settings_of_a_sink_that_there_is_not_are_told(export: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"settings \[sinks.gaet\], and no sink of that name") as caught:
        export({"gaet": {"house": "mill"}})
    assert caught.value.hint == "Did you mean [sinks.gate]?"


def test_what_a_validator_says_is_told_with_its_path(export: Any) -> None:
    def tall(_settings: object, attribute: Any, value: int) -> None:
        if value < 3:
            raise ValueError(f"{attribute.name} is at least 3", attribute)

    @attrs.frozen
    class TowerSettings:
        floors: int = attrs.field(default=3, validator=tall)

    with pytest.raises(ConfigurationError) as caught:
        export({"gate": {"floors": 2}}, GateSink(settings_type=TowerSettings))
    assert "floors is at least 3 @ $" in caught.value.message


def test_settings_of_sinks_come_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text('[sinks.gate]\nhouse = "mill"\n[sinks.gate.more]\ndeep = [1]\n')
    loaded = load_settings(file, {})
    assert loaded.sinks == {"gate": {"house": "mill", "more": {"deep": [1]}}}
    assert "mill" not in repr(loaded)


@pytest.mark.parametrize("reference", ["open sesame", "password", "vault:x", "env:", ""])
def test_secrets_are_named_and_never_given(reference: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Keyring(environ={}).secret(reference)
    assert "sesame" not in f"{caught.value.message} {caught.value.hint}"


def test_a_secret_is_the_first_line_of_what_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("one\r\ntwo\n")
    (tmp_path / "empty").write_text("\nsecret\n")
    assert Keyring().secret(f"file:{tmp_path}/secret") == "one"
    with pytest.raises(ConfigurationError, match="There is nothing in"):
        Keyring().secret(f"file:{tmp_path}/empty")
    with pytest.raises(ConfigurationError, match="is not set"):
        Keyring(environ={}).secret("env:MISSING")


def test_without_a_keyring_there_are_no_secrets() -> None:
    with pytest.raises(ConfigurationError) as caught:
        no_secrets("env:TOKEN")
    assert "TOKEN" not in caught.value.message


def test_sinks_are_told_where_the_file_can_be_fetched(export: Any) -> None:
    sink = PostSink()
    result = export({}, sink, link="https://exports.example.com/")
    assert sink.calls[0].link == f"https://exports.example.com/api/v1/exports/{result.export_id}"
    bare = PostSink()
    export({}, bare)
    assert bare.calls[0].link == ""
