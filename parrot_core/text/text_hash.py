"""The 64-bit hash by which texts are told apart where there are too many to hold."""

import hashlib


def text_hash(text: str) -> int:
    """From 0 to 2^64 - 1, the same in every process; lone surrogates are no error.

    Among ten million texts any two have the same with a probability of 3 in a million.
    """
    digest = hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
