"""Where a version comes from: all versions and models before it, back to the sources."""

from collections.abc import Sequence
from dataclasses import dataclass

from parrot_core.lake.lake import Lake
from parrot_core.lake.lineage import parents
from parrot_core.lake.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Lineage:
    """Manifests, the version itself first; ``gone`` names ancestors that the lake lost."""

    manifests: tuple[Manifest, ...]
    gone: tuple[str, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Files and URLs that the first stage read."""
        found: list[str] = []
        for manifest in self.manifests:
            if manifest.stage == "ingest":
                settings = manifest.recipe.get("ingest")
                if isinstance(settings, dict):
                    found += [str(source) for source in settings.get("sources", ())]
        return tuple(dict.fromkeys(found))

    @property
    def models(self) -> tuple[str, ...]:
        used = [u.model for m in self.manifests for u in m.usage.values() if u.requests]
        return tuple(dict.fromkeys(used))


def lineage_of(lake: Lake, manifest: Manifest) -> Lineage:
    """Follow the inputs of a version, breadth first, each version once."""
    found: dict[tuple[str, str], Manifest] = {(manifest.name, manifest.version): manifest}
    gone: list[str] = []
    waiting = [manifest]
    while waiting:
        for parent in parents(lake, waiting.pop(0), gone):
            if (parent.name, parent.version) not in found:
                found[parent.name, parent.version] = parent
                waiting.append(parent)
    return Lineage(tuple(found.values()), tuple(dict.fromkeys(gone)))


def as_json(manifests: Sequence[Manifest]) -> list[dict[str, object]]:
    """What a reader elsewhere needs of each ancestor."""
    return [
        {
            "kind": m.kind,
            "name": m.name,
            "version": m.version,
            "stage": m.stage,
            "commit_id": m.commit_id,
            "created_at": m.created_at,
            "inputs": m.inputs,
            "accounting": m.accounting.model_dump(mode="json"),
            "models": sorted({used.model for used in m.usage.values()}),
            "fingerprint": m.fingerprint.model_dump(mode="json"),
        }
        for m in manifests
    ]
