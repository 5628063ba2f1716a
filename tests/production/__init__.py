"""Production as it is deployed: the gate, the compose files, gunicorn, and the proof."""
