"""A grid of thousands of shards as one SVG, with one path for each state; a click finds a shard."""

from collections.abc import Sequence

from markupsafe import Markup

from parrot_core.monitor import ShardState

COLUMNS = 72
CELL = 15
GAP = 2
ORDER = ("done", "running", "waiting", "paused", "stalled", "failed")


def shard_grid(shards: Sequence[ShardState], chosen: int | None) -> Markup:
    """Draw the shards in their order; ``chosen`` is a position among them."""
    columns = min(COLUMNS, max(1, len(shards)))
    rows = -(-len(shards) // columns)
    side = CELL - GAP
    paths = []
    for status in ORDER:
        cells = [
            f"M{n % COLUMNS * CELL} {n // COLUMNS * CELL}h{side}v{side}h-{side}z"
            for n, shard in enumerate(shards)
            if shard.status == status
        ]
        if cells:
            paths.append(Markup('<path class="{}" d="{}"/>').format(status, "".join(cells)))
    if chosen is not None and chosen < len(shards):
        paths.append(
            Markup('<rect class="chosen" x="{}" y="{}" width="{}" height="{}"/>').format(
                chosen % COLUMNS * CELL, chosen // COLUMNS * CELL, side, side
            )
        )
    return Markup(
        '<svg class="shards" width="{0}" height="{1}" role="img" aria-label="{2}">{3}</svg>'
    ).format(columns * CELL, rows * CELL, f"{len(shards)} shards by state", Markup("").join(paths))


def shard_at(x: float, y: float, shards: int) -> int | None:
    """Position of the shard that is drawn at a place; None beside them all."""
    column, row = int(x // CELL), int(y // CELL)
    position = row * COLUMNS + column
    return position if 0 <= column < COLUMNS and row >= 0 and position < shards else None


def moved(position: int | None, key: str, shards: int) -> int | None:
    if position is None:
        return 0 if shards else None
    steps = {"ArrowLeft": -1, "ArrowRight": 1, "ArrowUp": -COLUMNS, "ArrowDown": COLUMNS}
    return max(0, min(shards - 1, position + steps.get(key, 0)))
