"""Write anew what follows from the code: settings files, README's table, ARCHITECTURE's list."""

from pathlib import Path

from scripts.generated_text import generated

ROOT = Path(__file__).resolve().parent.parent

for path, text in generated(ROOT).items():
    if path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
