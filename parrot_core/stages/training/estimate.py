"""Memory and time of a training, by formulas from the literature, before a GPU is rented.

Sources: model states and what each strategy shards, Rajbhandari et al. 2020 (ZeRO), §3 and §5;
activations and their recomputation, Korthikanti et al. 2022, §4, counted anew for a gated MLP and
for attention that keeps no scores; 6 FLOPs a parameter and token, Kaplan et al. 2020, §2.1, and
model-FLOPs utilisation, Chowdhery et al. 2022, §4.1.
"""

from dataclasses import dataclass
from math import gcd

from parrot_core.recipe import TrainDpo, Training
from parrot_core.stages.training.schedule import Schedule

STATE_BYTES = {"parameters": 4, "gradients": 4, "optimiser": 8}
"""A parameter's, as the trainer holds them: fp32 weights and gradients, AdamW's two moments."""
FROZEN_BYTES = 4
"""Of a weight that LoRA leaves alone."""
COMPUTE_BYTES = 2
"""Of a number in bf16, in which activations are kept and weights are multiplied."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder of Llama's kind: attention with grouped keys, a gated MLP, no biases."""

    layers: int
    hidden: int
    mlp: int  # width of the gated MLP
    vocabulary: int
    heads: int
    kv_heads: int
    head: int  # width of one
    tied: bool = False  # whether input and output embeddings are one matrix

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """The matrices of a layer: (inputs, outputs)."""
        queries, keys = self.heads * self.head, self.kv_heads * self.head
        attention = ((self.hidden, queries), *((self.hidden, keys),) * 2, (queries, self.hidden))
        return (*attention, *((self.hidden, self.mlp),) * 2, (self.mlp, self.hidden))

    @property
    def layer_parameters(self) -> int:
        return sum(rows * columns for rows, columns in self.linears) + 2 * self.hidden

    @property
    def embedding_parameters(self) -> int:
        """Of the input embeddings and the head, which is their own where it isn't tied."""
        return (1 if self.tied else 2) * self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        return self.embedding_parameters + self.layers * self.layer_parameters + self.hidden

    def adapter_parameters(self, rank: int) -> int:
        """Of LoRA on every linear layer but the head (Hu et al. 2021, §4.1)."""
        return self.layers * sum(rank * (rows + columns) for rows, columns in self.linears)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one device."""

    parameters: float
    gradients: float
    optimiser: float
    working_copies: float  # weights in bf16, or gathered; gradients on their way to the others
    activations: float
    reserve: float

    @property
    def total(self) -> float:
        states = self.parameters + self.gradients + self.optimiser
        return states + self.working_copies + self.activations + self.reserve


def memory_of(
    settings: Training, shape: Shape, reserve: float, answer: int | None = None
) -> Memory:
    """Estimate what one device holds at the worst moment: a batch of the longest sequences.

    The head is computed for some positions at a time and not counted.

    Args:
        settings: batch, length, strategy, LoRA, gradient checkpointing.
        reserve: bytes for the context, communication buffers and fragmentation.
        answer: tokens of the longest answer of a pair; ``max_length`` where nothing bounds it.
    """
    adapters = shape.adapter_parameters(settings.lora.r) if settings.lora else 0
    learned = adapters or shape.parameters
    frozen = shape.parameters if adapters else 0
    devices, strategy = settings.devices.total, settings.devices.strategy
    # ZeRO's stages: 2 shards gradients and optimiser states, 3 (and FSDP) parameters as well.
    shares = {"ddp": (1, 1), "deepspeed-zero2": (1, devices)}
    of_weights, of_rest = shares.get(strategy, (devices, devices))
    return Memory(
        parameters=(learned * STATE_BYTES["parameters"] + frozen * FROZEN_BYTES) / of_weights,
        gradients=learned * STATE_BYTES["gradients"] / of_rest,
        optimiser=learned * STATE_BYTES["optimiser"] / of_rest,
        working_copies=_working_copies(settings, shape, learned, of_weights > 1),
        activations=activation_bytes(settings, shape, answer),
        reserve=reserve,
    )


def _working_copies(settings: Training, shape: Shape, learned: int, gathered: bool) -> float:
    """Bytes of what a device holds beside its states, activations apart.

    Weights that are shared out are gathered, and their gradients are whole until they are shared
    out again: a layer with its gradients and the next layer; embeddings and head with their
    gradients throughout the backward pass, since they belong to no layer. Otherwise all weights
    are cast; DDP copies its gradients into buckets.
    """
    if gathered:
        return (3 * shape.layer_parameters + 2 * shape.embedding_parameters) * COMPUTE_BYTES
    devices = settings.devices
    bucketed = devices.strategy == "ddp" and devices.total > 1
    buckets = learned * STATE_BYTES["gradients"] if bucketed else 0
    return shape.parameters * COMPUTE_BYTES + buckets


def activation_bytes(settings: Training, shape: Shape, answer: int | None = None) -> float:
    """Bytes that the backward pass finds again, on one device.

    A layer keeps, a token: its two norms' inputs (2h), attention's input, queries, keys, values
    and output (3h + 2 keys' widths, at equal heads 5h), the MLP's input (h), and four times the
    MLP's width (gate, up, the activated gate, their product); two bytes each. With gradient
    checkpointing a layer keeps its input alone, and one layer at a time is computed again.
    DPO on shared prefixes has a mask besides, a byte for each two tokens of a tree.
    """
    tokens, mask = _at_once(settings, answer)
    keys = shape.kv_heads * shape.head
    queries = shape.heads * shape.head
    numbers = 4 * shape.hidden + 2 * queries + 2 * keys + 4 * shape.mlp
    layer = tokens * numbers * COMPUTE_BYTES
    if not settings.gradient_checkpointing:
        return shape.layers * layer + mask
    return shape.layers * tokens * shape.hidden * COMPUTE_BYTES + layer + mask


def _at_once(settings: Training, answer: int | None) -> tuple[int, int]:
    """(tokens that a device computes at once, bytes of the trees' masks), at the most.

    A pair is two sequences of ``max_length``. Where queries share their prefix, so many pairs lie
    in so many trees: in each a history with its longest answer fills ``max_length``, and every
    pair adds another answer. Pairs that are no multiple of a query's begin inside one.
    """
    if not isinstance(settings, TrainDpo):
        return settings.per_device_batch_size * settings.max_length, 0
    if not settings.share_prefix:
        return 2 * settings.per_device_batch_size * settings.max_length, 0
    negatives = len(settings.strategies)
    pairs = Schedule.of(settings, 1, settings.devices.total).per_device
    trees = pairs // negatives if pairs % negatives == 0 else 1 - (1 - pairs) // negatives
    longest = min(settings.max_length if answer is None else answer, settings.max_length)
    widest = settings.max_length + min(pairs, negatives) * longest
    return trees * settings.max_length + pairs * longest, trees * widest**2


def tokens_of_pair(settings: TrainDpo, sequence: float, answer: float) -> float:
    """Tokens computed for one pair, on average.

    A device takes so many pairs at once, one after the other in the order of queries. A query that
    falls into two takes has its history computed in both.

    Args:
        settings: whether a query's pairs share their prefix, how many they are and how many a
            device takes at once.
    """
    if not settings.share_prefix:
        return 2 * sequence
    negatives = len(settings.strategies)
    pairs = Schedule.of(settings, 1, settings.devices.total).per_device
    trees = (pairs + negatives - gcd(pairs, negatives)) / negatives  # of a take, on average
    return sequence * trees / pairs + answer


def flops_of(settings: Training, shape: Shape, tokens: float) -> float:
    """Floating-point operations of a training, recomputation not counted.

    Six a parameter and token: two forward, four backward. DPO adds the reference's forward pass.
    LoRA leaves out the gradients of the weights it does not learn, two of the six. Attention's
    own products, a few per cent at these lengths, are left out.

    Args:
        tokens: computed over all epochs, see :func:`tokens_of_pair` for DPO.
    """
    each = 4 if settings.lora else 6
    # The reference is asked once, however many epochs there are.
    reference = 2 / settings.epochs if isinstance(settings, TrainDpo) else 0
    return (each + reference) * shape.parameters * tokens


def hours_of(flops: float, devices: int, peak: float, utilisation: float) -> float:
    """Hours at a share of the devices' peak (FLOPs a second each)."""
    return flops / (devices * peak * utilisation) / 3600
