"""What a run's engines took, over all stages that the run ran itself."""

from parrot_core.lake.manifest import EngineUsage, add_usage
from parrot_core.monitor.state import RunState


def by_engine(state: RunState) -> dict[str, EngineUsage]:
    """Requests, tokens and dollars by engine, the dearest first; pinned stages cost nothing here.

    A name that stood for several models (a chat model of the lake, say) bears the first one's.
    """
    found = add_usage(stage.usage for stage in state.own_stages)
    order = sorted(found.items(), key=lambda item: (-item[1].usd, -item[1].tokens, item[0]))
    return dict(order)
