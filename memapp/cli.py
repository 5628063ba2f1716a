"""The command `memapp`: look at the configuration, make API keys.

A further command is one more function under `main`. Chroma and onnxruntime take seconds to import,
so whoever needs them imports them inside the command.
"""

from collections.abc import Sequence
from pathlib import Path

import click

from memapp import keys
from memapp.errors import ConfigurationError
from memapp.settings import Settings, load, markdown_table

_root = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="Folder of settings.toml and .env; the current one if not given.",
)


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
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"environment: {settings.environment}\nroot: {settings.root}\n")
    click.echo("\n".join(_columns(settings)))


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
    """Make a key, show it once, and show the entry that lets it in.

    Only the entry is kept; whoever loses the key needs a new one.
    """
    key = keys.new_key()
    try:
        entry = keys.entry_for(key, tenant=tenant, scopes=scopes.split(","))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    click.echo("Key, shown this once; the caller sends it as 'Authorization: Bearer <key>':")
    click.echo(f"{key}\n")
    click.echo("Entry for the list API_KEYS in .secrets.toml, or for MEMAPP_API_KEYS:")
    click.echo(f'"{entry}"')


def _columns(settings: Settings) -> Sequence[str]:
    rows = [("setting", "value", "source")]
    rows += [(name, settings.shown(name), settings.source(name)) for name in settings]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"{name:<{widths[0]}}  {shown:<{widths[1]}}  {source}" for name, shown, source in rows]


if __name__ == "__main__":
    main()
