"""What the project's documents take from its code, so that they cannot disagree."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from memapp.settings import document, markdown_table


def generated(root: Path) -> dict[Path, str]:
    """Return the text that each generated or partly generated file must have."""
    readme, architecture = root / "README.md", root / "ARCHITECTURE.md"
    return {
        root / "settings.toml": document.settings_toml(),
        root / ".secrets.toml.example": document.secrets_example(),
        root / ".env.example": document.env_example(),
        readme: _filled(readme.read_text(encoding="utf-8"), "settings", markdown_table()),
        architecture: _filled(
            architecture.read_text(encoding="utf-8"), "files", "\n".join(_files(root))
        ),
    }


def _filled(text: str, name: str, content: str) -> str:
    """Put content between the marks `<!-- name: begin -->` and `<!-- name: end -->`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{content.strip()}\n{end}", text)


def _files(root: Path) -> Iterator[str]:
    """Yield a line for each module of the package: its path and what its docstring says first."""
    package = root / "memapp"
    paths = sorted(
        package.rglob("*.py"), key=lambda path: (path.parent != package, path.parent, path)
    )
    room = package
    for path in paths:
        if path.parent != room:
            room = path.parent
            yield f"\n**{room.relative_to(root)}/**: {_first_sentence(room / '__init__.py')}\n"
        if path.name != "__init__.py":
            yield f"- `{path.name}`: {_first_sentence(path)}"


def _first_sentence(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    sentence = docstring.split("\n\n")[0].split(". ")[0].replace("\n", " ").rstrip(".")
    return sentence if sentence.endswith("?") else f"{sentence}."
