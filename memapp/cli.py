"""The command `memapp`: look at the configuration, make API keys, look after the store.

A further command is one more function under `main`. Chroma and onnxruntime take seconds to import,
so whoever needs them imports them inside the command.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from memapp import keys, rehearsal
from memapp.errors import ConfigurationError, MemappError
from memapp.settings import Settings, load, markdown_table


def _find_plugins_in(_context: click.Context, _option: click.Parameter, root: Path) -> Path:
    """Find plug-ins beside the settings, as gunicorn and flask do."""
    sys.path.insert(0, str(root.resolve()))
    return root


_root = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    callback=_find_plugins_in,
    default=Path(),
    help="Folder of settings.toml and .env; the current one if not given.",
)

_PLACES_OF_AN_ENTRY = """\
What lets it in, to be pasted into one of these; further entries follow in the same line.

A shell ('first entry;second entry'):
export MEMAPP_API_KEYS='{entry}'

.env, or an environment file of systemd ('first entry;second entry'):
MEMAPP_API_KEYS='{entry}'

.secrets.toml, under [production] (["first entry", "second entry"]):
API_KEYS = ["{entry}"]"""


@click.group()
@click.version_option(package_name="memapp")
def main() -> None:
    """Semantic memory and RAG retrieval over Chroma."""


@main.command()
@_root
@click.option("--markdown", is_flag=True, hidden=True, help="Print the table of all settings.")
def config(*, root: Path, markdown: bool) -> None:
    """Show every setting, its value and where it came from; secrets are masked.

    With a configuration that breaks a rule, list all faults and exit with 1.
    """
    if markdown:
        click.echo(markdown_table(), nl=False)
        return
    try:
        settings = load(root)
        if settings.needs_proof:
            rehearsal.refuse_what_fails(lambda: _make_app(settings))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"environment: {settings.environment}\nroot: {settings.root}\n")
    click.echo("\n".join(_columns(settings)))


def _make_app(settings: Settings) -> None:
    """Do what gunicorn does at its start."""
    from memapp import wiring  # noqa: PLC0415 - see above
    from memapp.app import create_app  # noqa: PLC0415
    from memapp.chroma_import import import_chroma  # noqa: PLC0415

    import_chroma()
    create_app(settings.root)
    wiring.load_before_fork(settings)


@main.group("keys")
def keys_group() -> None:
    """Make API keys."""


@keys_group.command()
@click.option("--tenant", required=True, help="Whose data the key reaches.")
@click.option(
    "--scopes",
    default=keys.ALL_SCOPES,
    show_default=True,
    help=f"'all', or some of {','.join(keys.SCOPES)}",
)
def new(*, tenant: str, scopes: str) -> None:
    """Make a key, show it once, and show the lines that let it in, ready to paste.

    Only the entry is kept; whoever loses the key needs a new one.
    """
    key = keys.new_key()
    try:
        entry = keys.entry_for(key, tenant=tenant, scopes=scopes.split(","))
    except ConfigurationError as error:
        option, _, fault = error.faults[0].partition(": ")
        raise click.BadParameter(fault, param_hint=f"--{option}") from error
    click.echo("Key, shown this once; the caller sends it as 'Authorization: Bearer <key>':")
    click.echo(f"{key}\n")
    click.echo(_PLACES_OF_AN_ENTRY.format(entry=entry))


@main.command()
@_root
def sweep(*, root: Path) -> None:
    """Remove what has expired and what dead ingests left behind.

    Nothing of it is ever found, swept or not; this gives the space back. Run it daily, as the app
    runs: in its folder, with its environment. In persistent mode, stop the app first: the folder
    belongs to one process. An embedded store that is not there is refused, with exit code 2.
    """
    from memapp import wiring  # noqa: PLC0415 - see above

    with _app(root):
        click.echo(f"removed {wiring.sweep()} records")


@main.command()
@_root
@click.option(
    "--all", "rebuilds_all", is_flag=True, help="Recompute those too that are right: a repair."
)
def reembed(*, root: Path, rebuilds_all: bool) -> None:
    """Compute all vectors anew, after the embedder was changed; stop the app first.

    With --all, make the indexes of all collections anew, as one of them is damaged.

    Texts are kept, so nothing is lost. A run that is cut off is finished by the next one. Run it as
    the app runs, like sweep.
    """
    from memapp import wiring  # noqa: PLC0415 - see above

    with _app(root):
        recomputed = right = 0
        for step in wiring.reembed(rebuilds_all=rebuilds_all):
            if step.was_right:
                right += 1
                continue
            recomputed += step.is_last
            click.echo(f"{step.collection}: {step.done} of {step.total}")
        click.echo(f"recomputed {recomputed} collections; {right} were right already")


@contextmanager
def _app(root: Path) -> Iterator[None]:
    """Run the body in the context of the app in a folder, as its requests do; name its store."""
    from memapp.app import create_app  # noqa: PLC0415 - see above

    try:
        app = create_app(root)
        _refuse_to_make(app.config)
        click.echo(f"store: {_store(app.config)}")
        with app.app_context():
            yield
    except MemappError as error:
        raise click.ClickException(str(error)) from error


def _refuse_to_make(config: Mapping[str, Any]) -> None:
    """Refuse an embedded store that is not there: opened, it would be made, and be empty."""
    mode = config["CHROMA_MODE"]
    if mode == "ephemeral":
        fault = "CHROMA_MODE = 'ephemeral': the store lies in the app's memory, out of reach"
        raise click.UsageError(fault)
    folders = [Path(config[name]) for name in ("CHROMA_DB_PATH", "CHROMA_PERSIST_DIR")]
    if mode == "persistent" and not any((one / "chroma.sqlite3").exists() for one in folders):
        fault = (
            f"there is no store at {_store(config)}, in the environment {config['ENVIRONMENT']}; "
            "run this as the app runs: in its folder (or with --root), with the same "
            "ENV_FOR_DYNACONF and CHROMA_* variables"
        )
        raise click.UsageError(fault)


def _store(config: Mapping[str, Any]) -> str:
    """Say where a store is, for people."""
    places = {
        "persistent": "{CHROMA_DB_PATH} and {CHROMA_PERSIST_DIR}",
        "http": "{CHROMA_HOST}:{CHROMA_PORT}",
        "cloud": "{CHROMA_CLOUD_HOST}",
    }
    mode = config["CHROMA_MODE"]
    return f"{mode} {places.get(mode, '').format_map(config)}".strip()


def _columns(settings: Settings) -> Sequence[str]:
    rows = [("setting", "value", "source")]
    rows += [(name, settings.shown(name), settings.source(name)) for name in settings]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"{name:<{widths[0]}}  {shown:<{widths[1]}}  {source}" for name, shown, source in rows]


if __name__ == "__main__":
    main()
