"""Why a row was rejected: the closed list, of the schemas and of the rules themselves."""

from collections.abc import Mapping
from types import MappingProxyType

from parrot_core import schemas
from parrot_core.stages.filters import rules as filter_rules
from parrot_core.stages.ingest import rules as ingest_rules

REASONS: Mapping[str, str] = MappingProxyType(
    {**schemas.REASONS, **filter_rules.REASONS, **ingest_rules.REASONS}
)
"""A stage can't reject for a reason that isn't here."""
