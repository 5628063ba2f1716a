"""Write settings.toml and the example files anew from the declarations in memapp.settings."""

from pathlib import Path

from memapp.settings import document

ROOT = Path(__file__).resolve().parent.parent

for name, text in (
    ("settings.toml", document.settings_toml()),
    (".secrets.toml.example", document.secrets_example()),
    (".env.example", document.env_example()),
):
    (ROOT / name).write_text(text, encoding="utf-8")
    print(f"wrote {name}")
