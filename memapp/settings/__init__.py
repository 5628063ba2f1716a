"""The configuration layer: what can be set, where it comes from, and what must not be set.

`load` is the only thing in memapp that reads settings files or the environment. The rest of the
app takes the values from the `Settings` it returns, or plain numbers and strings.
"""

from memapp.settings.declarations import DECLARED, Setting
from memapp.settings.document import markdown_table
from memapp.settings.loading import load, refuse_workers
from memapp.settings.secret import SecretText
from memapp.settings.values import Settings

__all__ = [
    "DECLARED",
    "SecretText",
    "Setting",
    "Settings",
    "load",
    "markdown_table",
    "refuse_workers",
]
