import base64
import csv
import html
import io
import json
import random
import string
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.vault.forms import Form, forms_of
from tailrace.vault.search import LONGEST, Hit, SecretSearch

SECRET = "Ca/n&a\"r'y\\ 100%ä+<x>"


def found(data: bytes, *secrets: str, public: tuple[str, ...] = (), prose: bool = False) -> Hit | None:
    return SecretSearch(secrets, public=public).first_in(data, prose=prose)


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


WRITTEN = {
    "raw": SECRET.encode(),
    "percent": b"Ca%2Fn%26a%22r%27y%5C%20100%25%C3%A4%2B%3Cx%3E",
    "percent, lower case": b"Ca%2fn%26a%22r%27y%5c%20100%25%c3%a4%2b%3cx%3e",
    "percent, with its slash": b"Ca/n%26a%22r%27y%5C%20100%25%C3%A4%2B%3Cx%3E",
    "percent, as browsers do": b"Ca%2Fn%26a%22r'y%5C%20100%25%C3%A4%2B%3Cx%3E",
    "percent, in a form": b"Ca%2Fn%26a%22r%27y%5C+100%25%C3%A4%2B%3Cx%3E",
    "JSON": "Ca/n&a\\\"r'y\\\\ 100%ä+<x>".encode(),
    "JSON, ASCII": b"Ca/n&a\\\"r'y\\\\ 100%\\u00e4+<x>",
    "JSON, its slash escaped": "Ca\\/n&a\\\"r'y\\\\ 100%ä+<x>".encode(),
    "JSON in JSON": "Ca/n&a\\\\\\\"r'y\\\\\\\\ 100%ä+<x>".encode(),
    "JSON in CSV": 'Ca/n&a\\""r\'y\\\\ 100%ä+<x>'.encode(),
    "CSV": 'Ca/n&a""r\'y\\ 100%ä+<x>'.encode(),
    "XML": "Ca/n&amp;a\"r'y\\ 100%ä+&lt;x&gt;".encode(),
    "XML, with >": "Ca/n&amp;a\"r'y\\ 100%ä+&lt;x>".encode(),
    "XML attribute": "Ca/n&amp;a&quot;r'y\\ 100%ä+&lt;x&gt;".encode(),
    "XML, named": "Ca/n&amp;a&quot;r&apos;y\\ 100%ä+&lt;x&gt;".encode(),
    "XML, numbered quotes": "Ca/n&amp;a&#34;r&#39;y\\ 100%ä+&lt;x&gt;".encode(),
    "XML, numbered": "Ca/n&#38;a&#34;r&#39;y\\ 100%ä+&#60;x&#62;".encode(),
    "XML, hexadecimal": "Ca/n&#x26;a&#x22;r&#x27;y\\ 100%ä+&#x3C;x&#x3E;".encode(),
    "XML, ASCII": b"Ca/n&amp;a\"r'y\\ 100%&#228;+&lt;x&gt;",
    "HTML": "Ca/n&amp;a&quot;r&#x27;y\\ 100%ä+&lt;x&gt;".encode(),
    "Base64": b"Q2EvbiZhInIneVwgMTAwJcOkKzx4P",
    "Base64, one byte further": b"NhL24mYSJyJ3lcIDEwMCXDpCs8eD",
    "Base64, two bytes further": b"DYS9uJmEicid5XCAxMDAlw6QrPHg+",
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_secret_is_found_however_it_is_written(written: bytes) -> None:
    hit = found(b"one\ntwo " + written + b" three", SECRET)
    assert hit is not None
    assert (hit.offset, hit.line) == (8, 2)


def test_what_libraries_write_is_found() -> None:
    row = io.StringIO()
    csv.writer(row).writerow(["a", SECRET])
    texts = (
        row.getvalue(),
        quote(SECRET),
        quote_plus(SECRET),
        json.dumps({"a": SECRET}),
        json.dumps({"a": json.dumps({"b": SECRET}, ensure_ascii=False)}, ensure_ascii=False),
        html.escape(SECRET),
        escape(SECRET),
        quoteattr(SECRET),
        base64.b64encode(f"user:{SECRET}@".encode()).decode(),
        base64.urlsafe_b64encode(f"u:{SECRET}@".encode()).decode(),
    )
    assert [text for text in texts if found(text.encode(), SECRET) is None] == []
    assert found("Ca/n&a\"r'y\\ 100%ä+<x".encode(), SECRET) is None


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_found_wherever_the_secret_begins_in_it(before: int, encode: Callable[[bytes], bytes]) -> None:
    for secret in ("sixsix", "s~~?>>~x", "ÿÿÿÿÿ", "longer than that, much longer"):
        encoded = encode(b"?" * before + secret.encode() + b"~?")
        hit = found(b"Basic " + encoded, secret)
        assert hit is not None
        assert hit.form in {Form.BASE64, Form.BASE64_URL}


def test_forms_say_what_they_are() -> None:
    assert [*dict.fromkeys(form for form, _ in forms_of(SECRET))] == [
        Form.RAW,
        Form.PERCENT,
        Form.CSV,
        Form.JSON,
        Form.XML,
        Form.BASE64,
        Form.BASE64_URL,
    ]
    assert [form for form, _ in forms_of("plain-text_1")] == [Form.RAW, *[Form.BASE64] * 3]
    assert [*forms_of("plain")] == [(Form.RAW, b"plain")]
    assert [*forms_of("a{b}")] == [
        (Form.RAW, b"a{b}"),
        (Form.PERCENT, b"a%7Bb%7D"),
        (Form.PERCENT, b"a%7bb%7d"),
    ]
    assert dict.fromkeys(written for _, written in forms_of("\ud800")).keys() >= {b"\xed\xa0\x80", b"\\ud800"}


# Which secrets are looked for, and where they count.


@pytest.mark.parametrize("secret", ["abc", "ä", "1234567", "", "12", "\u0663"])
def test_what_is_too_short_is_not_looked_for(secret: str) -> None:
    search = SecretSearch([secret])
    assert search.first_in(f" {secret} ".encode()) is None
    assert search.counts.left_out_short == bool(secret)
    assert search.counts.searched == 0


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("abcd", 0),
        ("x abcd", 2),
        ("-abcd-", 1),
        ("äabcdä", 2),
        ("abcde", None),
        ("9abcd", None),
        ("xabcd abcd", 6),
        ("ABCD", None),
    ],
)
def test_short_secrets_count_as_words_only(text: str, offset: int | None) -> None:
    hit = found(text.encode(), "abcd")
    assert (hit and hit.offset) == offset


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("12345678", 0),
        ("a=12345678;", 2),
        ("0.12345678", None),
        ("12345678.5", None),
        ("912345678", None),
        ("x12345678", None),
    ],
)
def test_numbers_count_as_words_only(text: str, offset: int | None) -> None:
    hit = found(text.encode(), "12345678")
    assert (hit and hit.offset) == offset


def test_longer_secrets_count_within_words() -> None:
    hit = found(b"xabcdefghx", "abcdefgh")
    assert hit == Hit(1, 1, Form.RAW)


def test_short_secrets_are_not_looked_for_in_base64() -> None:
    assert found(base64.b64encode(b"user:abcde"), "abcde") is None
    assert found(base64.b64encode(b"user:abcdef"), "abcdef") is not None


def test_an_escaped_short_secret_needs_no_word_of_its_own() -> None:
    hit = found(b"x%3Da%2Fb%26c%20", "a/b&c")
    assert hit == Hit(4, 1, Form.PERCENT)


def test_what_is_public_is_looked_for_in_other_forms_only() -> None:
    public = ("username", "the host is gw.acme-proxies.example", "50 %")
    search = SecretSearch(["acme-proxies", "user", "name", "host", "secret-one"], public=public)
    assert search.first_in(b"gw.acme-proxies.example, host") is None
    hit = search.first_in(base64.b64encode(b"acme-proxies"))
    assert hit is not None
    assert hit.form is Form.BASE64
    # In `username` it is no word of its own, so that this is no reason to leave it out.
    user = search.first_in(b"my user")
    assert user is not None
    assert search.first_in(b"my username") is None
    counts = search.counts
    assert (counts.secrets, counts.left_out_short, counts.left_out_public, counts.searched) == (5, 0, 2, 3)


def test_a_secret_stays_one_though_another_can_be_encoded_like_it() -> None:
    for secrets in (["a b c d e", "a%20b%20c%20d%20e"], ["a%20b%20c%20d%20e", "a b c d e"]):
        hit = found(b"a%20b%20c%20d%20e", *secrets)
        assert hit == Hit(0, 1, Form.RAW)


def test_in_sentences_words_are_no_secrets() -> None:
    text = b"User names and password of 3 proxies: password-1"
    assert found(text, "password", "proxies", prose=True) is None
    hit = found(text, "password", "password-1", prose=True)
    assert hit == Hit(38, 1, Form.RAW)


def test_of_long_secrets_the_beginning_is_enough() -> None:
    secret = "".join(random.Random(1).choices(string.ascii_letters, k=5000))
    assert found(secret[:LONGEST].encode(), secret) == Hit(0, 1, Form.RAW)
    assert found(secret[: LONGEST - 1].encode(), secret) is None
    assert SecretSearch([secret]).overlap == LONGEST + 1


def test_labels_say_what_was_found() -> None:
    search = SecretSearch({"first-secret": "password", "second-secret": "user name"})
    assert search.first_in(b"a second-secret") == Hit(2, 1, Form.RAW, "user name")
    assert search.first_in(b"a first-secret second-secret") == Hit(2, 1, Form.RAW, "password")


def test_nothing_to_look_for_finds_nothing() -> None:
    search = SecretSearch([""], public=["x"])
    watch = search.watch([b"abc", b"def"])
    assert b"".join(watch) == b"abcdef"
    assert (watch.hit, watch.size) == (None, 0)
    assert search.first_in(b"abc") is None
    assert SecretSearch(["abc"]).watch([b"abc"]).drain() is None


def test_no_secret_is_shown() -> None:
    search = SecretSearch({"visible-secret": "password"}, public=["x"])
    watch = search.watch([b"visible-secret"])
    hit = watch.drain()
    assert hit is not None
    shown = f"{search!r}{watch!r}{hit!r}{search.counts!r}{search}{watch}"
    assert "visible" not in shown


# In blocks.


def test_blocks_pass_unchanged_and_in_order() -> None:
    blocks = [b"", b"abc", b"", b"x" * 5_000_000, b"d"]
    watch = SecretSearch(["nowhere-to-be-found"]).watch(blocks)
    assert list(watch) == blocks
    assert watch.size == 5_000_004
    assert watch.hit is None


@pytest.mark.parametrize("size", range(1, 30))
def test_secrets_are_found_across_the_borders_of_blocks(size: int) -> None:
    data = b"first\nsecond line\n\n with hidden-secret in it\n"
    watch = SecretSearch(["hidden-secret"]).watch(chunks(data, size))
    assert watch.drain() == Hit(25, 4, Form.RAW)
    assert watch.size == len(data)


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize(("data", "offset"), [(b"xabcd abcdx -abcd", 13), (b"abcd", 0), (b"xx\nabcd", 3)])
def test_words_are_told_across_the_borders_of_blocks(size: int, data: bytes, offset: int) -> None:
    hit = SecretSearch(["abcd", "a-longer-secret"]).watch(chunks(data, size)).drain()
    assert hit is not None
    assert hit.offset == offset


@pytest.mark.parametrize("size", range(1, 8))
def test_what_goes_on_behind_a_block_is_no_word(size: int) -> None:
    assert SecretSearch(["abcd"]).watch(chunks(b"abcde xabcd 1abcd2", size)).drain() is None


@pytest.mark.parametrize("shift", range(-14, 3))
def test_secrets_are_found_across_a_mebibyte(shift: int) -> None:
    line = b"a line of sixteen\n"
    data = bytearray(line * 150_000)
    offset = (1 << 20) + shift
    data[offset : offset + 13] = b"hidden-secret"
    hit = SecretSearch(["hidden-secret"]).watch(chunks(bytes(data), 1 << 20)).drain()
    assert hit == Hit(offset, data[:offset].count(b"\n") + 1, Form.RAW)


def test_the_first_of_many_is_told() -> None:
    data = b"filler \n" * 1_000_000
    places = (4_800_000, 800_000, 7_999_000)
    changed = bytearray(data)
    for place in places:
        changed[place : place + 13] = b"hidden-secret"
    hit = SecretSearch(["hidden-secret"]).watch(chunks(bytes(changed), 1 << 18)).drain()
    assert hit == Hit(800_000, 100_001, Form.RAW)
    one_block = SecretSearch(["hidden-secret"]).watch([bytes(changed)]).drain()
    assert one_block == hit


def test_leaving_early_leaves_no_thread_behind() -> None:
    blocks = iter(SecretSearch(["hidden-secret"]).watch([b"x" * 100] * 100))
    assert next(blocks) == b"x" * 100
    blocks.close()  # type: ignore[attr-defined]  # it is a generator where there is something to look for
    assert list(blocks) == []


# Against a search that is too simple to be wrong.


def test_ten_thousand_secrets_are_told_apart_from_a_random_text() -> None:
    rng = random.Random(7)
    secrets = ["".join(rng.choices(string.ascii_letters + string.digits, k=12)) for _ in range(10_000)]
    text = base64.b64encode(rng.randbytes(3_000_000))
    search = SecretSearch(secrets)
    assert search.watch(chunks(text, 1 << 20)).drain() is None
    for secret in rng.sample(secrets, 100):
        at = rng.randrange(len(text))
        for written in (secret.encode(), base64.b64encode(b"u:" + secret.encode())[3:18]):
            hit = search.first_in(text[at - 1000 : at] + written + text[at : at + 1000])
            assert hit is not None
            assert hit.offset in range(len(text[at - 1000 : at]), len(text[at - 1000 : at]) + 5)


SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda text: len(text.encode()) >= 8 and not text.isdigit()
)
AROUND = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(str.encode)


@settings(max_examples=200, deadline=None)
@given(secret=SECRETS, before=AROUND, after=AROUND, size=st.integers(1, 40), lead=st.integers(0, 5))
def test_every_form_of_any_secret_is_found_in_any_surrounding(
    secret: str, before: bytes, after: bytes, size: int, lead: int
) -> None:
    written = {
        secret.encode(),
        quote(secret, safe="").encode(),
        quote(secret).encode(),
        quote_plus(secret).encode(),
        json.dumps(secret)[1:-1].encode(),
        json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        html.escape(secret).encode(),
        escape(secret).encode(),
        secret.replace('"', '""').encode(),
        base64.b64encode(b"x" * lead + secret.encode() + after),
        base64.urlsafe_b64encode(b"x" * lead + secret.encode() + after),
    }
    search = SecretSearch([secret, "another-secret", "abcd"])
    for form in written:
        data = before + form + after
        hit = search.watch(chunks(data, size)).drain()
        assert hit is not None
        assert hit.offset <= len(before) + len(form)
        assert hit.line == data[: hit.offset].count(b"\n") + 1


@settings(max_examples=100, deadline=None)
@given(
    secrets=st.lists(st.text("ab1-", min_size=1, max_size=9), max_size=6),
    text=st.text("ab1-. \n", max_size=60),
    size=st.integers(1, 20),
)
def test_raw_secrets_are_found_where_a_simple_search_finds_them(secrets: list[str], text: str, size: int) -> None:
    expected = [
        at
        for secret in secrets
        if len(secret) >= (8 if secret.isdigit() else 4)
        for at in range(len(text) - len(secret) + 1)
        if text.startswith(secret, at) and _counts(text, at, at + len(secret), number=secret.isdigit())
    ]
    hit = SecretSearch(secrets).watch(chunks(text.encode(), size)).drain()
    assert (hit and hit.offset) == min(expected, default=None)


def _counts(text: str, begin: int, end: int, *, number: bool) -> bool:
    inside = string.ascii_letters + string.digits + ("." if number else "")
    alone = (begin == 0 or text[begin - 1] not in inside) and (end == len(text) or text[end] not in inside)
    return alone or (end - begin >= 8 and not number)
