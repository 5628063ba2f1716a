"""Write the declarations down for people."""

from itertools import groupby

from memapp.settings.declarations import DECLARED, Setting


def markdown_table() -> str:
    """Return the README's settings table as Markdown, ending in a new line."""
    lines = []
    for group, settings in groupby(DECLARED, key=lambda setting: setting.group):
        lines += [f"### {group}", "", "| Setting | Default | Must be | What it does |"]
        lines += ["|---|---|---|---|", *map(_row, settings), ""]
    return "\n".join(lines)


def written(value: object) -> str:
    """Return a value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(written(entry) for entry in value)}]"
    return "{}" if value == {} else str(value)


def _row(setting: Setting) -> str:
    default = f"`{written(setting.default)}`"
    if setting.production is not None:
        default += f"; in production `{written(setting.production)}`"
    if setting.cloud is not None:
        default += f"; with Chroma Cloud `{written(setting.cloud)}`"
    rule = setting.kind.rule.replace("|", "\\|")
    text = setting.help + (" **Secret.**" if setting.secret else "")
    return f"| `{setting.name}` | {default} | {rule} | {text} |"
