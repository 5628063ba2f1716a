import json
import sys
from pathlib import Path

import pytest

from memapp import wiring
from memapp.errors import ConfigurationError
from memapp.plugins import resolve
from memapp.settings import declarations


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules outside the package, which no other test has imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    return tmp_path


def _fault(setting: str, name: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        resolve(setting, name, {"text": "json:loads", "markdown": "json:dumps"})
    (fault,) = caught.value.faults
    return fault


def test_the_settings_take_the_short_names_of_all_built_ins_and_no_others() -> None:
    assert set(declarations.MODES) == set(wiring.BACKENDS)
    assert set(declarations.EMBEDDERS) == set(wiring.EMBEDDERS)


def test_a_short_name_stands_for_a_built_in() -> None:
    assert resolve("READERS", "text", {"text": "json:loads"}) is json.loads


def test_a_plugin_is_loaded_from_outside(outside: Path) -> None:
    (outside / "my_readers.py").write_text("class Pdf: nested = 5\n")

    assert resolve("READERS", "my_readers:Pdf.nested", {}) == 5


def test_nothing_is_imported_before_it_is_named(outside: Path) -> None:
    (outside / "my_lazy.py").write_text("VALUE = 1\n")

    resolve("READERS", "text", {"text": "json:loads", "lazy": "my_lazy:VALUE"})

    assert "my_lazy" not in sys.modules


def test_an_unknown_short_name_is_refused_with_the_nearest() -> None:
    assert _fault("READERS", "markdwon") == (
        "READERS: 'markdwon' is neither one of ['markdown', 'text'] nor written "
        "'package.module:attribute'; did you mean 'markdown'?"
    )


@pytest.mark.parametrize("name", ["a.b.C", "a.b:", ":C", "a b:C", "a::C"])
def test_a_name_in_another_form_is_refused(name: str) -> None:
    assert "nor written 'package.module:attribute'" in _fault("READERS", name)


def test_a_missing_module_is_named() -> None:
    assert _fault("EMBEDDER", "no_such.module:Thing") == (
        "EMBEDDER = 'no_such.module:Thing': there is no module 'no_such'; install the package that "
        "has it, or check the name before the colon"
    )


def test_a_missing_submodule_is_named(outside: Path) -> None:
    (outside / "my_package").mkdir()
    (outside / "my_package/__init__.py").touch()

    assert "there is no module 'my_package.missing'" in _fault("E", "my_package.missing:Thing")


def test_a_missing_attribute_is_named_with_the_nearest(outside: Path) -> None:
    (outside / "my_module.py").write_text("Reader = 1\n")

    assert _fault("READERS", "my_module:Raeder") == (
        "READERS = 'my_module:Raeder': module 'my_module' has no 'Raeder'; did you mean 'Reader'?; "
        "check the name behind the colon"
    )


def test_a_plugin_that_needs_a_missing_module_is_told_from_a_missing_plugin(
    outside: Path,
) -> None:
    (outside / "my_needy.py").write_text("import no_such_dependency\n")

    assert _fault("READERS", "my_needy:Thing") == (
        "READERS = 'my_needy:Thing': module 'my_needy' needs 'no_such_dependency', which is not "
        "installed; install it"
    )


def test_a_plugin_that_imports_a_missing_name_is_told_from_a_missing_plugin(
    outside: Path,
) -> None:
    (outside / "my_broken.py").write_text("from json import no_such_name\n")

    fault = _fault("READERS", "my_broken:Thing")

    assert "module 'my_broken' is there but fails to import" in fault
    assert "no_such_name" in fault


def test_a_built_in_that_needs_an_optional_package_says_which(outside: Path) -> None:
    (outside / "my_built_in.py").write_text("import no_such_dependency\n")

    with pytest.raises(ConfigurationError, match=r"EMBEDDER = 'local': .* needs 'no_such_dependen"):
        resolve("EMBEDDER", "local", {"local": "my_built_in:Thing"})
