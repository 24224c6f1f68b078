"""The layouts that source records come in, one small file each."""

from parrot_core.ingest.layouts.layout import Layout, Misfit, describe
from parrot_core.ingest.layouts.sharegpt import SHAREGPT, SessionId, parse_id

LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (SHAREGPT,)}

__all__ = ["LAYOUTS", "SHAREGPT", "Layout", "Misfit", "SessionId", "describe", "parse_id"]
