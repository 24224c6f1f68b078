import pytest

from parrot_core.errors import MissingVersion, SourceError
from parrot_core.models.references import ConversionError, model_cache, resolve_model, unpacked
from tests.support.lakes.stage_work import FakeWork, small_recipe


@pytest.fixture
def run(tmp_path):
    return FakeWork(small_recipe(), tmp_path).run


def test_a_folder_and_a_hub_name_are_taken_as_they_are(run, tmp_path):
    assert resolve_model(str(tmp_path), run) == tmp_path
    assert resolve_model("HuggingFaceTB/SmolLM2-135M", run) == "HuggingFaceTB/SmolLM2-135M"


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("./nowhere", "no such folder"),
        ("/nowhere/at/all", "no such folder"),
        ("package://no-such-thing/model.gguf", "no Python package 'no-such-thing'"),
        ("package://parrot_core/model.gguf", "ships no file 'model.gguf'"),
    ],
)
def test_a_reference_to_nothing_gets_one_clear_line(run, ref, expected):
    with pytest.raises(SourceError, match=expected) as caught:
        resolve_model(ref, run)
    assert "\n" not in str(caught.value)


def test_a_model_that_was_never_published_is_named(run):
    with pytest.raises(MissingVersion, match="'parrot-ask' has no published version 'v9'"):
        resolve_model("lake:parrot-ask@v9", run)


def test_a_packed_model_is_unpacked_once_and_appears_whole(tmp_path):
    source = tmp_path / "small.gguf"
    source.write_bytes(b"x")
    calls = []

    def unpack(source, folder):
        calls.append(source)
        (folder / "config.json").write_text("{}")

    first = unpacked(source, tmp_path / "cache", unpack)
    assert unpacked(source, tmp_path / "cache", unpack) == first
    assert len(calls) == 1
    assert [path.name for path in first.iterdir()] == ["config.json"]


def test_a_conversion_that_fails_leaves_nothing_behind(tmp_path):
    source = tmp_path / "small.gguf"
    source.write_bytes(b"x")

    def fail(source, folder):
        (folder / "half").write_text("")
        raise ConversionError("broken")

    with pytest.raises(ConversionError):
        unpacked(source, tmp_path / "cache", fail)
    assert list((tmp_path / "cache" / "gguf").iterdir()) == []


def test_the_cache_can_be_put_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("PARROT_CACHE", str(tmp_path))
    assert model_cache() == tmp_path / "models"
