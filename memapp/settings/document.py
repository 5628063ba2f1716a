"""Write the declarations down for people: the README's table and the files to begin with."""

import json
import textwrap
from collections.abc import Iterator
from itertools import groupby

from memapp.settings.declarations import DECLARED, DEVELOPMENT, PRODUCTION, Setting

_WIDTH = 98
"""Columns of a comment, the mark before it not counted."""

_NAMED_IN_ENV_EXAMPLE = (
    "CHROMA_MODE",
    "CHROMA_DB_PATH",
    "CHROMA_PERSIST_DIR",
    "CHROMA_HOST",
    "CHROMA_PORT",
    "CHROMA_AUTH_TOKEN",
)
"""What a deployment most often sets."""

_SETTINGS_HEAD = """\
# memapp's settings. ENV_FOR_DYNACONF chooses the environment: development (if it is not set) or
# production. A section of an environment wins over [default], .secrets.toml over this file, .env
# over both, and environment variables over all: MEMAPP_<NAME> for every setting, and the CHROMA_
# names as they stand. `memapp config` shows what is in force and where it came from.
#
# Lines with a # hold the defaults. Secrets belong in .secrets.toml or the environment.
"""

_SECRETS_HEAD = """\
# Copy to .secrets.toml, which is never committed, and fill in what you use. Production refuses to
# start with the examples below. Texts must be in quotes; they are kept as they are.
"""

_ENV_HEAD = """\
# Copy to .env, which is never committed. Environment variables win over it, and it wins over
# settings.toml and .secrets.toml. It is found in the app's root only.
#
# NAME='kept as it is', NAME="with \\n escapes", NAME=bare # a bare value loses this and blanks
# around it. ${NAME} is not expanded. An empty value counts as not given. Lists are parted by
# commas (API_KEYS by ';') or written as JSON, tables are written as JSON.

# development or production.
ENV_FOR_DYNACONF=development
"""


def markdown_table() -> str:
    """Return the README's settings tables as Markdown, one a group, ending in a new line."""
    lines = []
    for group, settings in _groups():
        lines += [f"### {group}", "", "| Setting | Default | Must be | What it does |"]
        lines += ["|---|---|---|---|", *map(_row, settings), ""]
    return "\n".join(lines)


def settings_toml() -> str:
    """Return settings.toml as it is shipped: every setting with its help and its default."""
    lines = [_SETTINGS_HEAD, "[default]"]
    for group, settings in _groups():
        lines.append(f"\n# == {group} ==")
        for setting in settings:
            lines += ["", *comment(setting), f"# {setting.name} = {as_toml(setting.default)}"]
    by_environment = [setting for setting in DECLARED if setting.production is not None]
    for environment in (DEVELOPMENT, PRODUCTION):
        lines += ["", f"[{environment}]"]
        lines += [
            f"{setting.name} = {as_toml(default_in(environment, setting))}"
            for setting in by_environment
        ]
    return "\n".join(lines) + "\n"


def secrets_example() -> str:
    """Return .secrets.toml.example: every secret with its help and an example."""
    lines = [_SECRETS_HEAD, f"[{DEVELOPMENT}]", "", f"[{PRODUCTION}]"]
    for setting in DECLARED:
        if setting.secret:
            lines += [*comment(setting), f"# {setting.name} = {_EXAMPLES[setting.name]}", ""]
    return "\n".join(lines)


def env_example() -> str:
    """Return .env.example: every setting as the variable that sets it, with its default."""
    lines = [_ENV_HEAD]
    for setting in DECLARED:
        mark = "" if setting.name in _NAMED_IN_ENV_EXAMPLE else "# "
        # Where the environments differ, an empty value leaves the choice to them.
        text = as_variable(setting.default) if setting.production is None or mark else ""
        lines += [*comment(setting), f"{mark}{setting.variables[0]}={text}", ""]
    return "\n".join(lines)


def comment(setting: Setting) -> Iterator[str]:
    """Yield what a setting is for and what it must be, as comment lines."""
    text = f"{setting.help} Must be {setting.kind.rule}."
    if setting.secret:
        text += " A secret: keep it out of settings.toml."
    for environment, default in ((PRODUCTION, setting.production), ("cloud mode", setting.cloud)):
        if default is not None:
            text += f" Default in {environment}: {as_toml(default)}."
    return (f"# {line}" for line in textwrap.wrap(text, _WIDTH, break_long_words=False))


def default_in(environment: str, setting: Setting) -> object:
    """Return a setting's default in an environment, Chroma Cloud aside."""
    if environment == PRODUCTION and setting.production is not None:
        return setting.production
    return setting.default


def as_toml(value: object) -> str:
    """Write a value as TOML."""
    if isinstance(value, tuple):
        return f"[{', '.join(as_toml(entry) for entry in value)}]"
    # For texts, truths and numbers, TOML is written like JSON.
    return json.dumps(value)


def as_variable(value: object) -> str:
    """Write a value as the text of a variable in `.env`."""
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, str):
        return value
    return "" if value == {} else json.dumps(value)


_EXAMPLES = {
    "CHROMA_AUTH_TOKEN": '"change-me"',
    "CHROMA_HEADERS": '{ X-Team = "change-me" }',
    "CHROMA_API_KEY": '"change-me"',
    "API_KEYS": f'["acme memory:read,memory:write {"0" * 64}"]',
    "OPENAI_API_KEY": '"change-me"',
    "FLASK": '{ SECRET_KEY = "change-me" }',
}


def _groups() -> Iterator[tuple[str, Iterator[Setting]]]:
    return groupby(DECLARED, key=lambda setting: setting.group)


def _row(setting: Setting) -> str:
    default = f"`{as_toml(setting.default)}`"
    if setting.production is not None:
        default += f"; in production `{as_toml(setting.production)}`"
    if setting.cloud is not None:
        default += f"; in cloud mode `{as_toml(setting.cloud)}`"
    rule = setting.kind.rule.replace("|", "\\|")
    text = setting.help + (" **Secret.**" if setting.secret else "")
    return f"| `{setting.name}` | {default} | {rule} | {text} |"
