"""Where memapp's log goes: to stderr with the request's id, unless somebody has set up logging."""

import logging

from flask.logging import has_level_handler

from memapp.routes.request_ids import RequestIdFilter

_FORMAT = "[%(asctime)s] [%(process)d] [%(levelname)s] [%(request_id)s] %(name)s: %(message)s"


def start(level: str) -> None:
    """Log what is at least as severe as `level`; one set-up for all apps of a process."""
    logger = logging.getLogger("memapp")
    logger.setLevel(level)
    if not has_level_handler(logger):
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(_FORMAT))
        handler.addFilter(RequestIdFilter())
        logger.addHandler(handler)
