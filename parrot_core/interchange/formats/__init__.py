"""The formats that a version can be written in, one a file.

Adding one touches its file, its test and its line in :data:`FORMATS`.
"""

from parrot_core.interchange.formats.format import Format, Written
from parrot_core.interchange.formats.parquet import HuggingFace, Parquet
from parrot_core.interchange.formats.sharegpt import ShareGPT
from parrot_core.interchange.formats.trl import TRL

__all__ = ["FORMATS", "Format", "Written"]

FORMATS: dict[str, Format] = {
    "hf": HuggingFace(),
    "sharegpt": ShareGPT(),
    "trl": TRL(),
    "parquet": Parquet(),
}
"""By the name that the command line knows."""
