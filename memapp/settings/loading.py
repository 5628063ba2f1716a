"""Load the settings of one app, and list everything that is wrong with them at once."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from memapp.errors import ConfigurationError
from memapp.settings import dotenv_file, names, rules, toml_files, variables, workers
from memapp.settings.declarations import (
    BY_NAME,
    DECLARED,
    DEVELOPMENT,
    ENVIRONMENTS,
    PRODUCTION,
    Setting,
)
from memapp.settings.dotenv_file import DotenvFile
from memapp.settings.kinds import FilePath, Rejected
from memapp.settings.rules import Given
from memapp.settings.secret import SecretText
from memapp.settings.toml_files import Layers
from memapp.settings.values import DEFAULT_SOURCE, Settings, frozen

_LONGEST_SHOWN = 80
"""Characters of a value that a message repeats."""


def load(
    root: Path,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Load the settings of the app that lives at `root`.

    From lowest to highest: the declared defaults, settings.toml, .secrets.toml, .env, environment
    variables, `overrides`. Nothing outside `root` is read and nothing is exported.

    Args:
        root: Folder of the files and of relative paths.
        overrides: Values by setting, above all others; None stands for not given.
        environ: Instead of the process's environment and command line, for tests.

    Raises:
        ConfigurationError: at least one rule is broken; every fault is listed.
    """
    root = Path(root).resolve()
    arguments = sys.argv if environ is None else ()
    environ = os.environ if environ is None else environ
    overrides = {name: value for name, value in (overrides or {}).items() if value is not None}
    dotenv = dotenv_file.read(root)
    faults = list(dotenv.faults)
    process = variables.without_copies(environ, dotenv)

    environment, environment_faults = _environment(process, dotenv)
    faults += environment_faults
    layers, layer_faults = _layers(root, environment, dotenv, process, overrides)
    faults += layer_faults
    values, sources, value_faults = _values(root, environment, layers)
    faults += value_faults
    is_production = environment == PRODUCTION
    given = Given(values, sources)
    faults += rules.faults(given, is_production=is_production)
    # A developer's shell may have gunicorn's variables although another program runs.
    is_meant = is_production or workers.is_gunicorn(arguments)
    if is_meant and (announced := workers.announced(environ, arguments)):
        fault = rules.worker_fault(given, *announced)
        faults += [fault] if fault else []
    if faults:
        raise ConfigurationError(*faults)
    return Settings(environment, root, MappingProxyType(values), MappingProxyType(sources))


def refuse_workers(settings: Settings, number: int) -> None:
    """Refuse to share an embedded Chroma between worker processes.

    Args:
        settings: What the workers will use.
        number: How many workers the server will really start.

    Raises:
        ConfigurationError: the mode needs a single process and there are more.
    """
    given = Given(settings, {name: settings.source(name) for name in settings})
    if fault := rules.worker_fault(given, number, "the server"):
        raise ConfigurationError(fault)


def _environment(process: Mapping[str, str], dotenv: DotenvFile) -> tuple[str, list[str]]:
    chosen = variables.chosen_environment(process, dotenv)
    if chosen is None:
        return DEVELOPMENT, []
    name, source = chosen
    if name.lower() in ENVIRONMENTS:
        return name.lower(), []
    # The other faults are looked for in the environment that was most likely meant.
    meant = names.nearest(name.strip().lower(), ENVIRONMENTS) or DEVELOPMENT
    return meant, [names.environment_fault(name, source)]


def _layers(
    root: Path,
    environment: str,
    dotenv: DotenvFile,
    process: Mapping[str, str],
    overrides: Mapping[str, object],
) -> tuple[Layers, list[str]]:
    layers = Layers()
    faults: list[str] = [] if root.is_dir() else [f"root {root}: is not a folder; name the app's"]
    for path in (root / name for name in toml_files.NAMES):
        file_faults, is_readable = toml_files.faults_in(path)
        faults += file_faults
        if is_readable:
            layers.add_file(path, environment=environment)
    for place, given in ((dotenv_file.NAME, dotenv.values), ("", process)):
        for name, text, source in variables.given(given, place=place):
            layers.add(name, text, source=source)
    for name, value in overrides.items():
        if name in BY_NAME:
            layers.add(name, value, source="argument of create_app")
    faults += names.unknown_in_dotenv(dotenv.values)
    faults += names.unknown_in_process(process)
    faults += names.unknown_arguments(overrides)
    return layers, faults


def _values(
    root: Path, environment: str, layers: Layers
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    faults: list[str] = []
    for setting in DECLARED:
        if setting.name not in layers:
            raw, source = _default(setting, environment, values)
        else:
            raw, source = layers.value(setting.name), layers.source(setting.name)
        try:
            parsed = setting.kind.parse(raw)
            values[setting.name] = _finished(setting, parsed, root)
        except Rejected as error:
            faults.append(f"{_named(setting, raw)} from {source}: {error}")
        sources[setting.name] = source
    return values, sources, faults


def _default(setting: Setting, environment: str, values: Mapping[str, Any]) -> tuple[object, str]:
    # CHROMA_MODE is declared first, so that its value is known here.
    if setting.cloud is not None and values.get("CHROMA_MODE") == "cloud":
        return setting.cloud, f"{DEFAULT_SOURCE} with Chroma Cloud"
    if setting.production is not None and environment == PRODUCTION:
        return setting.production, f"{DEFAULT_SOURCE} in production"
    return setting.default, DEFAULT_SOURCE


def _finished(setting: Setting, value: object, root: Path) -> object:
    if isinstance(setting.kind, FilePath) and value:
        return str((root / str(value)).resolve())
    return frozen(_guarded(value) if setting.secret else value)


def _guarded(value: object) -> object:
    if isinstance(value, str):
        return SecretText(value)
    if isinstance(value, Mapping):
        return {name: _guarded(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_guarded(entry) for entry in value)
    return value


def _named(setting: Setting, raw: object) -> str:
    """Name a setting with its value as far as it may be shown: no secret, no URL's password."""
    if setting.secret:
        return setting.name
    shown = re.sub(r"//[^/@]*@", "//***@", repr(raw))
    return f"{setting.name} = {shown[:_LONGEST_SHOWN]}{'…' if len(shown) > _LONGEST_SHOWN else ''}"
