"""What Schemathesis has to know of the API that an OpenAPI document cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import schemathesis

if TYPE_CHECKING:
    from schemathesis import Case, HookContext

# What the API itself has made: no schema says which texts it knows again, so data that is right has none.
PAGE_TOKENS = ("pageToken", "before")
LONGEST_WAIT_SECONDS = 600


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Leaves page tokens out of what should be accepted, and waits a second where minutes are asked for."""
    if case.meta is not None and case.meta.generation.mode.is_positive:
        for name in PAGE_TOKENS:
            case.query.pop(name, None)
    wait = str(case.query.get("wait", ""))
    if wait.isascii() and wait.isdigit() and 1 < int(wait) <= LONGEST_WAIT_SECONDS:
        case.query["wait"] = 1
