"""What goes to Datadog is what Datadog's own OpenAPI description allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from export.ended import some_of_everything, test_item
from export.test_datadog_metrics import DISTRIBUTIONS, SERIES, accepted, body, opened
from interop.servers import servers_folder
from requirements_met import require_or_skip
from sources.answering import answering

if TYPE_CHECKING:
    from collections.abc import Mapping

test_item.__test__ = False
pytestmark = pytest.mark.slow

_MODELS = {SERIES: ("v2", "MetricPayload"), DISTRIBUTIONS: ("v1", "DistributionPointsPayload")}


def schema(version: str, model: str) -> dict[str, Any]:
    path = servers_folder() / "datadog-openapi" / f"{version}.yaml"
    require_or_skip(path.exists(), "needs Datadog's OpenAPI: tests/interop/get_servers datadog-openapi")
    whole = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    named: Mapping[str, Any] = whole["components"]["schemas"]
    needed: dict[str, Any] = {}
    _collect(model, named, needed)
    return {"$ref": f"#/components/schemas/{model}", "components": {"schemas": needed}}


def _collect(model: str, named: Mapping[str, Any], needed: dict[str, Any]) -> None:
    if model in needed:
        return
    needed[model] = named[model]
    for found in _references(named[model]):
        _collect(found.rpartition("/")[2], named, needed)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for part in value.values() for found in _references(part)]
    return [found for part in value for found in _references(part)] if isinstance(value, list) else []


@pytest.mark.timeout(180)
def test_every_request_is_what_the_description_allows() -> None:
    with answering(accepted) as stub:
        opened(stub, tags="team:travel").export((*some_of_everything(), test_item()))
        sent = {asked.path: body(asked) for asked in stub.asked}
    assert set(sent) == set(_MODELS)
    for path, (version, model) in _MODELS.items():
        validator = jsonschema.Draft4Validator(schema(version, model))
        validator.validate(sent[path])
        wrong = {"series": [{**sent[path]["series"][0], "points": "none"}]}
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(wrong)
