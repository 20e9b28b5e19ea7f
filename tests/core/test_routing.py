import attrs
import pytest

from tailrace.model.errors import OptionError, UnknownNameError
from tailrace.pipeline.routing import Owner, deal


@attrs.frozen
class SourceOptions:
    map: str = ""
    delimiter: str = ""


@attrs.frozen
class FormatOptions:
    delimiter: str = ""
    bom: bool = False


@attrs.frozen
class SinkOptions:
    overwrite: bool = False


SOURCE = Owner("source", "analytics", SourceOptions)
FORMAT = Owner("format", "csv", FormatOptions)
SINK = Owner("sink", "disk", SinkOptions)


def test_options_go_to_who_declares_them() -> None:
    assert deal({"map": "a", "bom": True, "overwrite": 1}, [SOURCE, FORMAT, SINK]) == (
        {"map": "a"},
        {"bom": True},
        {"overwrite": 1},
    )
    assert deal({}, [SOURCE, FORMAT]) == ({}, {})


def test_the_plugins_name_decides_between_two() -> None:
    with pytest.raises(OptionError) as caught:
        deal({"delimiter": ";"}, [SOURCE, FORMAT])
    assert caught.value.message == "Option 'delimiter': several plugins of this export have one of that name."
    assert caught.value.hint == "Say whose: analytics.delimiter or csv.delimiter"
    assert deal({"csv.delimiter": ";", "analytics.delimiter": ","}, [SOURCE, FORMAT]) == (
        {"delimiter": ","},
        {"delimiter": ";"},
    )
    assert deal({"format.csv.delimiter": ";"}, [SOURCE, FORMAT]) == ({}, {"delimiter": ";"})


def test_the_kind_decides_between_two_of_one_name() -> None:
    source = Owner("source", "csv", SourceOptions)
    for key in ("delimiter", "csv.delimiter"):
        with pytest.raises(OptionError) as caught:
            deal({key: ";"}, [source, FORMAT])
        assert caught.value.hint == "Say whose: source.csv.delimiter or format.csv.delimiter"
    assert deal({"source.csv.delimiter": ";", "csv.bom": True}, [source, FORMAT]) == (
        {"delimiter": ";"},
        {"bom": True},
    )


def test_the_same_sink_twice_gets_the_option_twice() -> None:
    assert deal({"overwrite": True}, [SOURCE, SINK, SINK]) == ({}, {"overwrite": True}, {"overwrite": True})


def test_unknown_options_name_who_was_asked() -> None:
    with pytest.raises(UnknownNameError) as caught:
        deal({"delimeter": ";"}, [SOURCE, FORMAT])
    assert caught.value.message == "There is no option 'delimeter' in source analytics, format csv."
    assert caught.value.hint == "Did you mean 'delimiter'? There is: map, delimiter, bom."
    with pytest.raises(UnknownNameError) as named:
        deal({"csv.map": ";"}, [SOURCE, FORMAT])
    assert named.value.message == "There is no option 'map' in format csv."
    with pytest.raises(UnknownNameError) as unnamed:
        deal({"xlsx.bom": ";"}, [SOURCE, FORMAT])
    assert unnamed.value.name == "xlsx.bom"
