import base64
import secrets

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.vault.canonical import canonical_json, netstrings
from tailrace.vault.values import PREFIX, DataKey, bound_columns_missing, is_sealed, open_values, seal_values

KEY = DataKey(bytes(range(32)), "5f0c2c0e-0000-4000-8000-000000000001")
PROXIES = pl.DataFrame(
    {
        "number": [1, 2, 3],
        "protocol": ["http", "socks5", "http"],
        "host": ["192.0.2.1", "2001:db8::1", None],
        "port": [8080, 1080, 80],
    }
)
WORDS = pl.Series("password", ["hunter2", None, "pässwörd: 'x' \x00"])


def opened(values: pl.Series, bound: pl.DataFrame = PROXIES, **changes: object) -> list[object]:
    where = {"key": KEY, "table": "proxies", "column": "password", **changes}
    clear, bad = open_values(values=values, bound=bound, **where)  # type: ignore[arg-type]  # changed one by one
    assert clear.filter(bad).null_count() == bad.sum()
    return ["bad" if wrong else value for value, wrong in zip(clear, bad, strict=True)]


def test_values_come_back_as_they_were_and_are_nowhere_in_between() -> None:
    sealed = seal_values(KEY, "proxies", "password", WORDS, PROXIES)
    assert sealed.name == "password"
    assert sealed.str.starts_with(PREFIX).to_list() == [True, None, True]
    assert "hunter2" not in sealed[0]
    assert opened(sealed) == ["hunter2", None, "pässwörd: 'x' \x00"]
    assert WORDS.to_list() == ["hunter2", None, "pässwörd: 'x' \x00"]
    assert sealed[0] != seal_values(KEY, "proxies", "password", WORDS, PROXIES)[0]


def test_passwords_of_up_to_31_bytes_have_one_length() -> None:
    bound = PROXIES[[0] * 40]
    sealed = seal_values(KEY, "t", "c", pl.Series(["x" * n for n in range(40)]), bound)
    lengths = sealed.str.len_chars().to_list()
    assert lengths == [105] * 32 + [149] * 8
    assert opened(sealed, bound, table="t", column="c") == ["x" * n for n in range(40)]


@given(st.lists(st.one_of(st.none(), st.text()), max_size=20))
@settings(max_examples=50, deadline=None)
def test_any_text_comes_back(texts: list[str | None]) -> None:
    # polars has no lone surrogates, and neither has a file.
    values = pl.Series(
        [None if text is None else text.encode(errors="ignore").decode() for text in texts], dtype=pl.String
    )
    bound = PROXIES[[0] * len(texts)]
    assert opened(seal_values(KEY, "proxies", "password", values, bound), bound) == values.to_list()


def test_a_value_opens_in_its_place_only() -> None:
    sealed = seal_values(KEY, "proxies", "password", pl.Series(["one", "two", "three"]), PROXIES)
    assert opened(sealed[[1, 0, 2]]) == ["bad", "bad", "three"]
    assert opened(sealed, table="others") == ["bad"] * 3
    assert opened(sealed, column="username") == ["bad"] * 3
    assert opened(sealed, key=DataKey(KEY.content, "another export")) == ["bad"] * 3
    assert opened(sealed, key=DataKey(secrets.token_bytes(32), KEY.export_id)) == ["bad"] * 3
    for name in PROXIES.columns:
        other = PROXIES.with_columns(PROXIES[name].reverse().shift(1).alias(name))
        changed = [not PROXIES[row].equals(other[row]) for row in range(3)]
        assert opened(sealed, other) == [
            "bad" if moved else word for moved, word in zip(changed, ("one", "two", "three"), strict=True)
        ]
        assert any(changed)


def test_what_rows_are_known_by_cannot_be_shifted_between_columns() -> None:
    one = pl.DataFrame({"a": ["ab", None], "b": ["c", "-"]})
    other = pl.DataFrame({"a": ["a", "-"], "b": ["bc", None]})
    sealed = seal_values(KEY, "t", "c", pl.Series(["x", "y"]), one)
    assert opened(sealed, one, table="t", column="c") == ["x", "y"]
    assert opened(sealed, other, table="t", column="c") == ["bad", "bad"]


def test_every_flipped_bit_and_every_cut_is_found_out() -> None:
    bound = PROXIES[[0]]
    (token,) = seal_values(KEY, "proxies", "password", pl.Series(["hunter2"]), bound)
    raw = base64.b64decode(token.removeprefix(PREFIX))
    flipped = [raw[:at] + bytes([raw[at] ^ (1 << bit)]) + raw[at + 1 :] for at in range(len(raw)) for bit in range(8)]
    cut = [raw[:length] for length in range(len(raw))]
    tokens = [PREFIX + base64.b64encode(content).decode() for content in (*flipped, *cut)]
    assert len(tokens) == 9 * len(raw)
    assert set(opened(pl.Series(tokens), PROXIES[[0] * len(tokens)])) == {"bad"}


def test_every_flipped_bit_of_its_text_is_found_out_or_no_sealed_value_any_more() -> None:
    (token,) = seal_values(KEY, "proxies", "password", pl.Series(["hunter2"]), PROXIES[[0]])
    raw = token.encode()
    texts = [
        changed.decode()
        for at in range(len(raw))
        for bit in range(7)
        if (changed := raw[:at] + bytes([raw[at] ^ (1 << bit)]) + raw[at + 1 :]) != raw
    ]
    found = opened(pl.Series(texts), PROXIES[[0] * len(texts)])
    assert "hunter2" not in found
    # Where the first word is hit, it is a text like any other, and the seal of the file is what tells.
    assert all(value == "bad" for text, value in zip(texts, found, strict=True) if text.startswith("sealed:"))


@pytest.mark.parametrize(
    "token", ["sealed:1:", "sealed:1:!!!!", "sealed:1:AAAA", "sealed:2:AAAA", "sealed:", "sealed:1:" + "A" * 200]
)
def test_what_only_looks_sealed_is_told(token: str) -> None:
    assert opened(pl.Series([token]), PROXIES[[0]]) == ["bad"]


def test_a_value_of_other_padding_or_no_text_is_told() -> None:
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

    nonce = bytes(24)
    place = netstrings(("tailrace.value.1", KEY.export_id, "proxies", "password", "1", "http", "192.0.2.1", "8080"))
    contents = [b"x" * 32, bytes(32), b"hunter2\x80" + bytes(24), b"\xff\x80" + bytes(30)]
    tokens = [
        PREFIX + base64.b64encode(nonce + encrypt(content, place, nonce, KEY.derived("values"))).decode()
        for content in contents
    ]
    assert opened(pl.Series(tokens), PROXIES[[0] * 4]) == ["bad", "bad", "hunter2", "bad"]


def test_plain_texts_stay_as_they_are() -> None:
    values = pl.Series(["plain", None, "Sealed:1:"])
    assert opened(values) == ["plain", None, "Sealed:1:"]
    assert is_sealed(values).to_list() == [False, False, False]
    assert is_sealed(pl.Series(["sealed:9:x"])).to_list() == [True]


def test_the_data_key_does_not_show_itself() -> None:
    assert repr(KEY.content)[2:20] not in f"{KEY!r}{KEY}"
    assert len({KEY.derived(purpose) for purpose in ("values", "header", "content")}) == 3
    assert DataKey.generate("x").content != DataKey.generate("x").content


def test_what_is_missing_to_open_is_told() -> None:
    assert bound_columns_missing(["password"], ["number", "host"], ["password", "host"]) == ["number"]
    assert bound_columns_missing(["password"], ["number", "host"], ["host"]) == []


def test_canonical_forms_are_fixed() -> None:
    assert canonical_json({"b": [1, None, "é"], "a": {"z": True}}) == b'{"a":{"z":true},"b":[1,null,"\\u00e9"]}'
    assert netstrings(["", "é", "a,b"]) == b"0:,2:\xc3\xa9,3:a,b,"
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("nan"))
