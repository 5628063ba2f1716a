"""What servers import: `gunicorn wsgi:app`, `flask run`."""

from pathlib import Path

from memapp.app import create_app

app = create_app(root=Path(__file__).parent)
