"""The refresh token's bytes: one spelling, sealed, and nothing else is believed."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.errors import ForgedToken
from tenure.core.tokens import PREFIX, RefreshToken, first_token, nonce_hash, seal, unseal

KEY, OTHER_KEY = bytes(32), b"\x01" * 32
nonces = st.binary(min_size=16, max_size=16)
tokens = st.builds(RefreshToken, nonces, st.integers(1, 2**32 - 1), nonces, nonces, nonces)
TOKEN = seal(RefreshToken(b"s" * 16, 7, b"g" * 16, b"p" * 16, b"n" * 16), KEY)


@given(tokens)
def test_what_was_sealed_is_read_back(token: RefreshToken) -> None:
    text = seal(token, KEY)
    assert re.fullmatch(r"tnr1_[A-Za-z0-9_-]{112}", text)
    assert unseal(text, [KEY]) == token


@pytest.mark.asvs("7.2.3")
def test_the_layout_is_the_documented_one() -> None:
    raw = base64.urlsafe_b64decode(TOKEN[len(PREFIX) :])
    assert len(raw) == 84
    assert raw[:68] == b"s" * 16 + (7).to_bytes(4, "big") + b"g" * 16 + b"p" * 16 + b"n" * 16


@pytest.mark.parametrize("length", range(len(TOKEN)))
def test_a_token_cut_anywhere_is_forged(length: int) -> None:
    with pytest.raises(ForgedToken):
        unseal(TOKEN[:length], [KEY])


def test_a_token_with_any_byte_flipped_is_forged() -> None:
    raw = base64.urlsafe_b64decode(TOKEN[len(PREFIX) :])
    for place in range(len(raw)):
        for bit in range(8):
            flipped = bytearray(raw)
            flipped[place] ^= 1 << bit
            with pytest.raises(ForgedToken):
                unseal(PREFIX + base64.urlsafe_b64encode(flipped).decode(), [KEY])


@pytest.mark.parametrize("text", ["", PREFIX, TOKEN + "\n", " " + TOKEN, TOKEN + "=", "tnr2" + TOKEN[4:], "é" * 117])
def test_other_spellings_are_forged(text: str) -> None:
    with pytest.raises(ForgedToken):
        unseal(text, [KEY])


def test_another_deployments_token_is_forged() -> None:
    with pytest.raises(ForgedToken):
        unseal(TOKEN, [OTHER_KEY])
    with pytest.raises(ForgedToken):
        unseal(TOKEN, [])


@pytest.mark.parametrize("keys", [[KEY, OTHER_KEY], [OTHER_KEY, KEY]])
def test_a_token_sealed_with_any_accepted_key_is_read(keys: list[bytes]) -> None:
    assert unseal(TOKEN, keys).generation == 7


def test_the_first_token_is_the_child_of_the_root() -> None:
    assert first_token(b"s" * 16, b"r" * 16, b"n" * 16) == RefreshToken(b"s" * 16, 1, bytes(16), b"r" * 16, b"n" * 16)


@given(tokens.filter(lambda token: token.generation < 2**32 - 1), nonces)
def test_a_child_names_its_parent_and_its_grandparent(token: RefreshToken, nonce: bytes) -> None:
    child = token.child(nonce)
    assert (child.session_id, child.generation) == (token.session_id, token.generation + 1)
    assert (child.grandparent, child.parent, child.nonce) == (token.parent, token.nonce, nonce)


def test_a_nonce_hash_depends_on_the_session() -> None:
    assert nonce_hash(b"a" * 16, b"n" * 16) != nonce_hash(b"b" * 16, b"n" * 16)
    assert len(nonce_hash(b"a" * 16, b"n" * 16)) == 32


def test_no_nonce_is_in_the_representation() -> None:
    shown = repr(RefreshToken(b"\xab" * 16, 3, b"g" * 16, b"p" * 16, b"n" * 16))
    assert shown == f"RefreshToken(session {'ab' * 16}, generation 3)"
