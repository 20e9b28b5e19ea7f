"""What a request takes."""

from typing import Any

import pytest

from tailrace import CredentialMode, ExportRequest, RequestError


def test_a_credentials_mode_may_be_given_by_its_name() -> None:
    assert ExportRequest("pool", "p.db", "csv", credentials="full").credentials is CredentialMode.FULL
    with pytest.raises(RequestError) as refused:
        ExportRequest("pool", "p.db", "csv", credentials="clear")
    assert (refused.value.message, refused.value.hint) == (
        "There is no credentials mode 'clear'.",
        "There is: full, sanitized, reference.",
    )


@pytest.mark.parametrize("name", ["columns", "where", "sort", "openers"])
def test_a_text_where_several_belong_is_refused(name: str) -> None:
    more: dict[str, Any] = {name: "id"}
    with pytest.raises(RequestError) as refused:
        ExportRequest("pool", "p.db", "csv", **more)
    assert (refused.value.message, refused.value.hint) == (
        f"{name} are several texts, not one",
        f'Write {name}=("…",).',
    )
