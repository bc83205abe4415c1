"""What Schemathesis has to know of the API that an OpenAPI document cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import schemathesis

if TYPE_CHECKING:
    from schemathesis import Case, HookContext

# What the API itself has made: no schema says which texts it knows again, so data that is right has none.
PAGE_TOKENS = ("pageToken", "before")
LONGEST_WAIT_SECONDS = 600
# Node itself refuses longer ones, with 431; for the API every token is too long before that.
LONGEST_QUERY = 14_000


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Page tokens are left out of what should be accepted, and no longer than Node takes; waits are short."""
    if case.meta is not None and case.meta.generation.mode.is_positive:
        for name in PAGE_TOKENS:
            case.query.pop(name, None)
    if len(quote(str(case.query.get("pageToken", "")))) > LONGEST_QUERY:
        case.query["pageToken"] = "x" * LONGEST_QUERY
    wait = str(case.query.get("wait", ""))
    if wait.isascii() and wait.isdigit() and 1 < int(wait) <= LONGEST_WAIT_SECONDS:
        case.query["wait"] = 1
