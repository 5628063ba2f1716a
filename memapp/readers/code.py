"""Read source code."""

from collections.abc import Sequence

from memapp.readers.decoding import decoded
from memapp.readers.titles import clean_title
from memapp.records import ReadDocument

_SUFFIXES = (
    ".py .pyi .js .mjs .cjs .jsx .ts .tsx .java .kt .kts .scala .groovy .c .h .cc .cpp .cxx .hpp "
    ".hh .cs .fs .go .rs .swift .m .mm .rb .php .pl .pm .lua .r .jl .hs .ml .mli .clj .erl .ex "
    ".exs .dart .zig .nim .sh .bash .zsh .ps1 .bat .sql .proto .graphql .css .scss .less .vue "
    ".svelte .toml .yaml .yml .ini .cfg .conf .tf .cmake .gradle .dockerfile .mk .tex .el .vim"
)


class CodeReader:
    """Read source code and settings as they are; the file's name is the title."""

    formats: Sequence[str] = ("code",)
    media_types: Sequence[str] = (
        "text/x-python",
        "text/x-script.python",
        "application/x-python-code",
        "text/javascript",
        "application/javascript",
        "application/typescript",
        "text/x-java-source",
        "text/x-c",
        "text/x-c++",
        "text/x-go",
        "text/x-rust",
        "text/x-shellscript",
        "application/x-sh",
        "application/sql",
        "text/css",
        "application/toml",
        "application/yaml",
        "text/yaml",
        "application/x-yaml",
    )
    suffixes: Sequence[str] = tuple(_SUFFIXES.split())

    def read(self, content: bytes, *, name: str) -> ReadDocument:
        """Read one file."""
        return ReadDocument(decoded(content), title=clean_title(name), format="code")


def create() -> CodeReader:
    """Return the reader."""
    return CodeReader()
