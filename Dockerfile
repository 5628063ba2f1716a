# syntax=docker/dockerfile:1
FROM python:3.11.15-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/memapp
WORKDIR /src
COPY LICENSE README.md pyproject.toml setup.cfg ./
COPY memapp memapp
RUN /opt/memapp/bin/pip install '.[metrics]'

# The model is part of the package: embedding without a network proves it, and its checksum.
WORKDIR /
RUN --network=none /opt/memapp/bin/python -c "from pathlib import Path; \
    from memapp import settings; from memapp.embedders import minilm; \
    print(minilm.create(settings.load(Path.cwd())).embed_query('ready').shape)"


FROM python:3.11.15-slim

RUN groupadd --system --gid 10001 memapp \
    && useradd --system --uid 10001 --gid memapp --no-create-home --home-dir /srv/memapp memapp
COPY --from=build /opt/memapp /opt/memapp
WORKDIR /srv/memapp
COPY gunicorn.conf.py settings.toml wsgi.py ./

ENV ENV_FOR_DYNACONF=production \
    PATH=/opt/memapp/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    WEB_CONCURRENCY=4
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/health/ready', timeout=4)"]
CMD ["gunicorn", "--bind", "0.0.0.0:8080", "wsgi:app"]
