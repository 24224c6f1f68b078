"""What `import parrot_core` gives, and what it costs."""

import doctest
import subprocess
import sys

import pytest

import parrot_core


def test_the_example_in_the_docstring_works() -> None:
    result = doctest.testmod(parrot_core)
    assert result.attempted > 5
    assert result.failed == 0


def test_every_public_name_is_there() -> None:
    assert set(parrot_core.__all__) <= set(dir(parrot_core))
    for name in parrot_core.__all__:
        assert getattr(parrot_core, name) is not None
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = parrot_core.nothing_such


def test_importing_the_package_imports_none_of_its_rooms() -> None:
    code = "import parrot_core, sys; print([m for m in sys.modules if m[:12] == 'parrot_core.'])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "['parrot_core.version']"
