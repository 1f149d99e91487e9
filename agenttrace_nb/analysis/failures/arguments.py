"""Whether a tool's arguments are what its schema asks for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.failures.calls import NOT_JSON, canonical
from agenttrace_nb.analysis.failures.wording import shortened

if TYPE_CHECKING:
    from agenttrace_nb.analysis.failures.calls import Call
    from agenttrace_nb.analysis.failures.story import Story

_REMEMBERED_SCHEMAS = 500


def misfit(story: Story, call: Call) -> str | None:
    """Return what is wrong with a call's arguments in a few words.

    ``None`` where nothing is, or where it cannot be told: no schema was declared, or nothing was recorded.
    """
    declared = (story.tools_of(call.agent) or {}).get(call.name)
    return misfit_of(call, declared.get("parameters") if declared is not None else None)


def misfit_of(call: Call, schema: Any) -> str | None:
    """Return the same of a call and the schema that its tool was declared with."""
    arguments = call.arguments
    if arguments is None or arguments is NOT_JSON or not isinstance(schema, dict):
        return None
    try:
        errors = list(_validator(canonical(schema)).iter_errors(arguments))
    except Exception:  # noqa: BLE001 - a schema that is none of JSON Schema's, a reference that leads nowhere
        return None
    return shortened(_first(errors)) if errors else None


def _first(errors: list[Any]) -> str:
    worst = min(errors, key=lambda error: (len(error.absolute_path), str(error.message)))
    where = ".".join(str(part) for part in worst.absolute_path)
    said = worst.message
    if worst.validator == "type":
        said = f"{shortened(canonical(worst.instance), 60)} is not of type {worst.validator_value}"
    elif worst.validator == "enum":
        allowed = ", ".join(map(str, worst.validator_value[:6]))
        said = f"{shortened(canonical(worst.instance), 60)} is not one of {allowed}"
    return f"{where}: {said}" if where else str(said)


@lru_cache(maxsize=_REMEMBERED_SCHEMAS)
def _validator(schema: str) -> Any:
    import json

    import jsonschema

    known = json.loads(schema)
    kind: Any = jsonschema.validators.validator_for(known, default=jsonschema.Draft202012Validator)
    return kind(known)
