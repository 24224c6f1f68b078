"""How long the texts of each row are, read once a version and only when somebody asks."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parrot_core.browse.search import text_columns
from parrot_core.lake.row_lookup import RowLookup

CHARS = "chars"
BOUNDS = (0, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000)
"""Lower bounds of the lengths that are counted together."""


def lengths(lookup: RowLookup) -> pa.Array:
    columns = [c for c in text_columns(lookup.schema()) if c != "request_key"]
    parts = [np.zeros(0, dtype=np.int64)]
    for number in range(len(lookup.files)):
        for _, table in lookup.groups(number, columns):
            parts.append(_of(table))
    return pa.array(np.concatenate(parts), pa.int64())


def _of(table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    total = np.zeros(table.num_rows, dtype=np.int64)
    for column in table.columns:
        whole = column.combine_chunks()
        if pa.types.is_list(whole.type):
            texts = pc.struct_field(pc.list_flatten(whole), "content")
            sizes = pc.fill_null(pc.utf8_length(texts), 0).to_numpy(zero_copy_only=False)
            rows = pc.list_parent_indices(whole).to_numpy(zero_copy_only=False)
            total += np.bincount(rows, sizes, table.num_rows).astype(np.int64)
        else:
            total += pc.fill_null(pc.utf8_length(whole), 0).to_numpy(zero_copy_only=False)
    return total
