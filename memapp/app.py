"""The application factory."""

from collections.abc import Mapping
from pathlib import Path

from flask import Blueprint, Flask
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.openapi import OpenAPI

from memapp import plugins, settings, wiring
from memapp.errors import ConfigurationError
from memapp.keys import Keyring
from memapp.routes import (
    access_log,
    authentication,
    converters,
    documentation,
    log_output,
    metrics,
    problems,
    request_ids,
)
from memapp.routes import limits as request_limits
from memapp.routes.limits import Limits
from memapp.routes.request_body import StrictRequest

BLUEPRINTS: Mapping[str, str] = {
    "memory": "memapp.routes.memories:memories",
    "rag": "memapp.routes.rag:rag",
    "health": "memapp.routes.health:health",
}


def create_app(root: Path | None = None, **overrides: object) -> Flask:
    """Make an app; nothing is opened before its first request.

    Args:
        root: Folder of its settings files, against which relative paths are resolved; by default
            the working directory.
        **overrides: Settings, above those of all files and of the environment.

    Raises:
        ConfigurationError: the configuration breaks rules; all of them are listed.
    """
    loaded = settings.load(root or Path.cwd(), overrides)
    log_output.start(loaded["LOG_LEVEL"])
    app = OpenAPI("memapp", doc_ui=False, static_folder=None)
    app.request_class = StrictRequest
    app.config.from_mapping(loaded.as_dict())
    app.config["ENVIRONMENT"] = loaded.environment
    # OPTIONS is no method of this API; the answer to it is a problem like any other.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    limits = Limits.from_settings(loaded)
    app.config["MAX_CONTENT_LENGTH"] = limits.MAX_BODY_BYTES
    request_limits.install(app.extensions, limits)
    converters.init_app(app)
    request_ids.init_app(app)
    access_log.init_app(app)
    problems.init_app(app)
    if loaded["METRICS"]:
        metrics.init_app(app)
    keyring = None if loaded["AUTH"] == "off" else Keyring.from_entries(loaded["API_KEYS"])
    authentication.init_app(app, keyring)
    wiring.init_app(app)
    for name in loaded["EXTENSIONS"]:
        _start(app, name)
    for name in loaded["BLUEPRINTS"]:
        _serve(app, name)
    documentation.init_app(app)
    return app


def _start(app: Flask, name: str) -> None:
    """Start an extension: an object with `init_app`, or a function of the app."""
    extension = plugins.resolve("EXTENSIONS", name, {})
    start = getattr(extension, "init_app", extension)
    if not callable(start):
        fault = f"EXTENSIONS = {name!r}: has no init_app(app) and cannot be called itself"
        raise ConfigurationError(fault)
    start(app)


def _serve(app: OpenAPI, name: str) -> None:
    """Serve a blueprint; flask-openapi's kind is documented too."""
    blueprint = plugins.resolve("BLUEPRINTS", name, BLUEPRINTS)
    if isinstance(blueprint, APIBlueprint):
        app.register_api(blueprint)
    elif isinstance(blueprint, Blueprint):
        app.register_blueprint(blueprint)
    else:
        fault = f"BLUEPRINTS = {name!r}: is a {type(blueprint).__name__}, not a flask.Blueprint"
        raise ConfigurationError(fault)
