"""Sealing and opening credentials, beside a bare loop over libsodium's functions: ``python tests/bench/vault.py``."""

import os
import statistics
import time
from collections.abc import Callable

import polars as pl
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

from tailrace.model.dataset import SealedColumns
from tailrace.vault.header import make_header, open_header
from tailrace.vault.keys import Password
from tailrace.vault.values import DataKey, open_values, seal_values

COUNT, ROUNDS = 100_000, 5


def main() -> None:
    key = DataKey.generate("bench")
    bound = pl.DataFrame(
        {
            "number": range(1, COUNT + 1),
            "protocol": ["http"] * COUNT,
            "host": [f"198.51.{n // 250 % 250}.{n % 250}" for n in range(COUNT)],
            "port": [8080] * COUNT,
        }
    )
    words = [f"customer-{n:06d}-zone-eu-word" for n in range(COUNT)]
    values = pl.Series("password", words)
    raw, bare = os.urandom(32), [(word.encode(), os.urandom(24)) for word in words]
    tokens = seal_values(key, "proxies", "password", values, bound)
    sealed = [(encrypt(word, b"proxy", nonce, raw), nonce) for word, nonce in bare]

    def seal_bare() -> None:
        for word, _nonce in bare:
            encrypt(word, b"proxy", os.urandom(24), raw)

    def open_bare() -> None:
        for word, nonce in sealed:
            decrypt(word, b"proxy", nonce, raw)

    def opened() -> None:
        clear, bad = open_values(key, "proxies", "password", tokens, bound)
        assert not bad.any() and clear[0] == words[0]  # noqa: PT018 - one check: it is what was sealed

    contenders: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "seal": (lambda: seal_values(key, "proxies", "password", values, bound), seal_bare),
        "open": (opened, open_bare),
    }
    print(f"{COUNT:,} credentials, median of {ROUNDS} rounds, seconds")
    for name, (ours, bare_loop) in contenders.items():
        times: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(ROUNDS):
            times["bare"].append(timed(bare_loop))
            times["ours"].append(timed(ours))
        mine, theirs = (statistics.median(times[which]) for which in ("ours", "bare"))
        print(
            f"  {name}: {mine:.3f}, bare loop over libsodium {theirs:.3f}: {mine / theirs:.2f} times (goal: at most 2)"
        )
    password = Password("correct horse battery staple")
    header = make_header(key, {"proxies": SealedColumns((), ())}, [password])
    print(f"  argon2id, once per file: {timed(lambda: open_header(header, [password])):.3f}")


def timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
