"""What a version was made from, as far as the lake still has it."""

from collections.abc import Iterator

from parrot_core.errors import MissingVersion
from parrot_core.lake.lake import Kind, Lake
from parrot_core.lake.manifest import Manifest
from parrot_core.schemas import DATASETS


def parents(lake: Lake, manifest: Manifest, gone: list[str] | None = None) -> Iterator[Manifest]:
    """The versions and models among its inputs; ``gone`` takes the names of those removed since."""
    for name, version in manifest.inputs.items():
        kind: Kind = "dataset" if name in DATASETS else "model"
        try:
            yield lake.manifest(kind, name, version)
        except MissingVersion:
            if gone is not None:
                gone.append(f"{name}@{version}")


def parent_datasets(lake: Lake, manifest: Manifest) -> Iterator[Manifest]:
    """Its parents without the models."""
    return (parent for parent in parents(lake, manifest) if parent.kind == "dataset")
