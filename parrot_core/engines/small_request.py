"""The smallest real request to an engine, to see whether a provider takes our parameters."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parrot_core.engines.openai_chat import Purchase
from parrot_core.engines.request import probe_body, request_body, request_key, sampling_seed
from parrot_core.engines.response import Answer
from parrot_core.recipe import Sampling

if TYPE_CHECKING:
    from parrot_core.engines.connection import Engines


@dataclass(frozen=True, slots=True)
class SmallAnswer:
    """What came back, and what it took."""

    key: str
    sample: str
    body: dict[str, Any]
    answer: Answer
    usd: float
    latency_s: float


async def ask_small(engines: "Engines", name: str, sampling: Sampling) -> SmallAnswer:
    """Ask an engine a word, at once even where it is asked in batches.

    Raises:
        EngineError: see :meth:`parrot_core.engines.types.ChatModel.complete`.
    """
    body, sample = _request(engines, name, sampling)
    purchase = Purchase()
    chat = engines.connected(name).chat
    send = chat.send(body, sampling.max_tokens, sample, purchase)
    answer, usd = await engines.buy(send, purchase)
    key = request_key(engines.connected(name).endpoint, body, sample)
    return SmallAnswer(key, sample, body, answer, usd, purchase.latency_s)


def small_key(engines: "Engines", name: str, sampling: Sampling) -> str:
    body, sample = _request(engines, name, sampling)
    return request_key(engines.connected(name).endpoint, body, sample)


def _request(engines: "Engines", name: str, sampling: Sampling) -> tuple[dict[str, Any], str]:
    connected, sample = engines.connected(name), f"check/{name}"
    seed = sampling_seed(engines.seed, sample)
    return probe_body(request_body(connected.model, (), sampling, seed, connected.shape)), sample
