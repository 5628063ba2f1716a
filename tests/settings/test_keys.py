import hashlib
import re

import pytest

from memapp.errors import ConfigurationError
from memapp.keys import SCOPES, Keyring, Principal, entry_for, faults_in, new_key

DIGEST = "0123456789abcdef" * 4


def test_a_key_is_a_prefix_and_256_random_bits() -> None:
    assert re.fullmatch(r"memapp_[A-Za-z0-9_-]{43}", new_key())
    assert len({new_key() for _ in range(100)}) == 100


def test_the_entry_of_a_key_lets_it_in_as_its_tenant() -> None:
    key = new_key()
    keyring = Keyring.from_entries([entry_for(key, tenant="acme", scopes=["memory:read"])])

    assert keyring.find(key) == Principal("acme", frozenset({"memory:read"}))


def test_the_scope_all_stands_for_every_scope() -> None:
    key = new_key()
    keyring = Keyring.from_entries([entry_for(key, tenant="acme", scopes=["all"])])

    principal = keyring.find(key)

    assert principal is not None
    assert principal.scopes == frozenset(SCOPES)


def test_each_key_is_let_in_as_its_own_tenant() -> None:
    keys = {tenant: new_key() for tenant in ("a", "b", "c")}
    entries = [entry_for(key, tenant=tenant, scopes=["all"]) for tenant, key in keys.items()]
    keyring = Keyring.from_entries(entries)

    found = {tenant: keyring.find(key) for tenant, key in keys.items()}

    assert {tenant: who.tenant for tenant, who in found.items() if who} == {
        tenant: tenant for tenant in keys
    }


@pytest.mark.parametrize("wrong", ["", "x", "memapp_", DIGEST, "memapp_ü", "\ud800", "k" * 100_000])
def test_another_key_is_not_let_in(wrong: str) -> None:
    assert Keyring.from_entries([f"acme all {DIGEST}"]).find(wrong) is None


def test_a_key_with_one_other_character_is_not_let_in() -> None:
    key = new_key()
    keyring = Keyring.from_entries([entry_for(key, tenant="acme", scopes=["all"])])

    assert keyring.find(key[:-1] + ("a" if key[-1] != "a" else "b")) is None
    assert keyring.find(f"{key} ") is None


def test_an_entry_does_not_hold_the_key() -> None:
    key = new_key()

    entry = entry_for(key, tenant="acme", scopes=["all"])

    assert key not in entry
    assert entry == f"acme all {hashlib.sha256(key.encode()).hexdigest()}"


def test_an_empty_keyring_lets_nobody_in() -> None:
    assert Keyring.from_entries([]).find(new_key()) is None


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("", "has 0 parts"),
        (f'"acme all {DIGEST}"', "begins or ends with a quotation mark"),
        (f"'acme all {DIGEST}", "begins or ends with a quotation mark"),
        (f"acme all {DIGEST}\N{RIGHT DOUBLE QUOTATION MARK} ", "begins or ends with a quotation"),
        (f"acme {DIGEST}", "has 2 parts"),
        (f"acme memory:read, rag:read {DIGEST}", "has 4 parts"),
        (f"Acme all {DIGEST}", "names a tenant"),
        (f"ac.me all {DIGEST}", "names a tenant"),
        (f"_acme all {DIGEST}", "names a tenant"),
        (f"{'a' * 64} all {DIGEST}", "names a tenant"),
        (f"acme memory {DIGEST}", "has scopes that are not"),
        (f"acme all,admin {DIGEST}", "has scopes that are not"),
        (f"acme admin, {DIGEST}", "has scopes that are not"),
        (f"acme all {DIGEST[1:]}", "does not end in the key's SHA-256"),
        (f"acme all {DIGEST.upper()}", "does not end in the key's SHA-256"),
        (f"acme all memapp_{'a' * 43}", "does not end in the key's SHA-256"),
    ],
)
def test_a_wrong_entry_is_refused_by_its_position(entry: str, rule: str) -> None:
    (fault,) = faults_in([f"ok all {'ab' * 32}", entry])

    assert fault.startswith("entry 2 ")
    assert rule in fault


def test_a_key_with_two_entries_is_refused() -> None:
    (fault,) = faults_in([f"a all {DIGEST}", f"b all {DIGEST}"])

    assert fault.startswith("entry 2 is the same key as entry 1;")


def test_all_wrong_entries_are_listed_at_once_without_their_text() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Keyring.from_entries(["hunter2", "a hunter2 hunter2"])

    assert len(caught.value.faults) == 3
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("tenant", "scopes"), [("a b", ["all"]), ("", ["all"]), ("a", []), ("a", ["read"])]
)
def test_no_entry_is_made_for_a_wrong_tenant_or_scope(tenant: str, scopes: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"tenant: |scopes: "):
        entry_for(new_key(), tenant=tenant, scopes=scopes)


def test_a_keyring_does_not_show_its_digests() -> None:
    assert repr(Keyring.from_entries([f"acme all {DIGEST}"])) == "Keyring(1 keys)"
