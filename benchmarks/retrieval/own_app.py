"""Start a memapp of our own, in a folder that is removed afterwards."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.service.servers import (
    HOST,
    REPOSITORY,
    Server,
    free_port,
    plain_environment,
    start_chroma,
)

_ROOT_FILES = ("wsgi.py", "gunicorn.conf.py", "settings.toml")


@contextmanager
def own_app(settings: Mapping[str, str], *, workers: int = 1) -> Iterator[str]:
    """Lend the URL of a memapp with an empty store and without API keys.

    Args:
        settings: Environment variables, besides those for the store.
        workers: One worker keeps its data in a folder; several share a Chroma server, as in
            production.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="memapp-retrieval-")))
        for name in _ROOT_FILES:
            shutil.copy(REPOSITORY / name, folder)
        store = {"CHROMA_MODE": "persistent"}
        if workers > 1:
            chroma = start_chroma(folder / "chroma")
            stack.callback(chroma.stop)
            store = {
                "CHROMA_MODE": "http",
                "CHROMA_HOST": HOST,
                "CHROMA_PORT": str(chroma.port),
                "ENV_FOR_DYNACONF": "production",
            }
        port = free_port()
        gunicorn = str(Path(sys.executable).parent / "gunicorn")
        server = Server(
            [gunicorn, "-w", str(workers), "--bind", f"{HOST}:{port}", "wsgi:app"],
            port=port,
            folder=folder,
            ready_path="/health/ready",
            environment=plain_environment(MEMAPP_AUTH="off", **store, **settings),
        )
        stack.callback(server.stop)
        yield f"http://{HOST}:{port}"
