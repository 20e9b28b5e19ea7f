"""Credentials under seal: keys, the envelope around each value, and signatures.

What is where, from the inside out:

- :mod:`tailrace.vault.values` seals single values under a data key, each bound to its place.
- :mod:`tailrace.vault.header` wraps the data key for whoever may open it, in a header that is authenticated.
- :mod:`tailrace.vault.keys` are the keys themselves, :mod:`tailrace.vault.keyring` finds them by reference.
- :mod:`tailrace.vault.signing` signs manifests, :mod:`tailrace.vault.trust` remembers whose signatures were seen.

All of the cryptography is libsodium's, through pynacl. The format is described byte for byte in
``docs/reference/pool-file.md``, with test vectors in ``tests/data/vault``.
"""
