"""Rows become the very tables that Arrow makes of them."""

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.lake.shard_writer import table_of

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("flags", pa.list_(pa.string())),
        pa.field(
            "messages",
            pa.list_(
                pa.struct(
                    [
                        pa.field("content", pa.string(), nullable=False),
                        pa.field("number", pa.int64()),
                        pa.field("inner", pa.list_(pa.struct([pa.field("x", pa.float64())]))),
                    ]
                )
            ),
        ),
    ]
)
INNER = st.lists(
    st.fixed_dictionaries({}, optional={"x": st.none() | st.floats(-1, 1)}), max_size=3
)
ITEM = st.fixed_dictionaries(
    {"content": st.text(max_size=5)},
    optional={"number": st.none() | st.integers(-5, 5), "inner": st.none() | INNER},
)
ROW = st.fixed_dictionaries(
    {"id": st.text(max_size=5)},
    optional={
        "flags": st.none() | st.lists(st.text(max_size=3), max_size=3),
        "messages": st.none() | st.lists(st.none() | ITEM, max_size=4),
        "of no column": st.integers(),
    },
)


@given(st.lists(ROW, max_size=8))
def test_whatever_the_rows_their_table_is_that_of_arrow(rows: list[dict[str, Any]]) -> None:
    expected = pa.Table.from_pylist(rows, schema=SCHEMA)
    found = table_of(rows, SCHEMA)
    found.validate(full=True)
    assert found.schema == expected.schema
    assert found.to_pylist() == expected.to_pylist()
    assert found.equals(expected)
