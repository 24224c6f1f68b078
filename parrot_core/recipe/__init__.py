"""Everything a run can be told, as validated models: YAML in, every knob bounded and described.

The descriptions are written for users: Prefect's UI renders them as a form and
``docs/reference/recipe.md`` is made from them. Values marked *operational* (limits, concurrency,
budget, addresses) don't change what a run produces, so a run may be resumed with other ones.
"""

from parrot_core.recipe.base import (
    ALL_FILTER_RULES,
    ALL_STRATEGIES,
    ON_POLICY,
    OPERATIONAL,
    SLUG,
    STRATEGIES,
    FilterRule,
    Model,
    ModelRef,
    Sampling,
    Strategy,
)
from parrot_core.recipe.cluster import Cluster, WorkerResources
from parrot_core.recipe.data import (
    GUARDS,
    Filter,
    Ingest,
    NearDuplicates,
    Seeds,
    Source,
    Synthesize,
)
from parrot_core.recipe.engines import (
    BatchSettings,
    Engine,
    Limits,
    OpenAIEngine,
    Price,
    VllmEngine,
)
from parrot_core.recipe.evaluation import Evaluate
from parrot_core.recipe.loading import load_recipe, overridden, parse_recipe
from parrot_core.recipe.preferences import CaPO, HistoryGain, OnPolicy, Select
from parrot_core.recipe.training import (
    Devices,
    Lora,
    Supervised,
    TrainAsk,
    TrainDpo,
    Training,
    TrainSft,
)
from parrot_core.recipe.whole import Recipe, Traces, differences

__all__ = [
    "ALL_FILTER_RULES",
    "ALL_STRATEGIES",
    "GUARDS",
    "ON_POLICY",
    "OPERATIONAL",
    "SLUG",
    "STRATEGIES",
    "BatchSettings",
    "CaPO",
    "Cluster",
    "Devices",
    "Engine",
    "Evaluate",
    "Filter",
    "FilterRule",
    "HistoryGain",
    "Ingest",
    "Limits",
    "Lora",
    "Model",
    "ModelRef",
    "NearDuplicates",
    "OnPolicy",
    "OpenAIEngine",
    "Price",
    "Recipe",
    "Sampling",
    "Seeds",
    "Select",
    "Source",
    "Strategy",
    "Supervised",
    "Synthesize",
    "Traces",
    "TrainAsk",
    "TrainDpo",
    "TrainSft",
    "Training",
    "VllmEngine",
    "WorkerResources",
    "differences",
    "load_recipe",
    "overridden",
    "parse_recipe",
]
