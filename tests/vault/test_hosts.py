import pytest

from flowforge.vault.errors import SecretHostMismatchError, VaultInputError
from flowforge.vault.hosts import check_host, parse_hosts
from flowforge.vault.types import Secret


def bound_to(*hosts: str) -> Secret:
    return Secret("SHOP_TOKEN", "value-of-it", parse_hosts(hosts))


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("api.example.com", "api.example.com"),
        ("api.example.com", "API.Example.com:8443"),
        ("api.example.com", "api.example.com."),
        ("api.example.com:443", "api.example.com:443"),
        ("*.example.com", "a.b.example.com"),
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("[::1]", "[::1]:8080"),
        ("[::1]", "::1"),
        ("localhost", "localhost:9"),
    ],
)
def test_secret_may_go_to_its_host(host: str, target: str):
    check_host(bound_to("other.example", host), target)
    assert bound_to(host).hosts == (host,)


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("api.example.com", "example.com"),
        ("api.example.com", "evil-api.example.com"),
        ("api.example.com", "api.example.com.evil.example"),
        ("api.example.com", "api.example.com@evil.example"),
        ("api.example.com:443", "api.example.com:8443"),
        ("api.example.com:443", "api.example.com"),
        ("*.example.com", "example.com"),
        ("*.example.com", "evilexample.com"),
        ("*.example.com", ".example.com"),
        ("api.example.com", ""),
        ("api.example.com", None),
    ],
)
def test_a10_secret_may_not_go_elsewhere(host: str, target: str | None):
    with pytest.raises(SecretHostMismatchError) as caught:
        check_host(bound_to(host), target)
    assert caught.value.code == "secret_host_mismatch"
    assert caught.value.details[0].field == "secrets.SHOP_TOKEN"
    assert "value-of-it" not in str(caught.value)


def test_secret_that_is_bound_to_nothing_may_go_anywhere():
    check_host(bound_to(), "any.example")
    check_host(bound_to(), None)
    assert bound_to().hosts == ()


@pytest.mark.parametrize(
    "host", ["", "*", "*.", "a b", "http://a.example", "a.example/path", "user@a.example", "a..b", "a:b", "ä.example"]
)
def test_text_that_is_no_host_is_refused(host: str):
    with pytest.raises(VaultInputError) as caught:
        parse_hosts([host])
    assert caught.value.details[0].code == "host_invalid"


def test_hosts_are_kept_once_and_in_lower_case():
    assert parse_hosts(["A.example", "a.example ", "b.example"]) == ("a.example", "b.example")


def test_too_many_hosts_are_refused():
    with pytest.raises(VaultInputError):
        parse_hosts([f"h{number}.example" for number in range(51)])


def test_value_is_not_in_the_text_of_a_secret():
    assert "value-of-it" not in repr(bound_to())
