"""What `gunicorn -w 4 wsgi:app` runs with; gunicorn finds this file in the working directory.

The command line and GUNICORN_CMD_ARGS win over it: `--preload`, `--max-requests 10000
--max-requests-jitter 1000`, `--access-logfile -`, `--bind 0.0.0.0:8080`. Both with and without
`--preload` Chroma's client library is imported once, before the fork, and nothing is opened there.
"""

import os

from memapp import serving

worker_class = serving.DrainingWorker
threads = 8

# Longer than a balancer keeps an idle connection (nginx: 60 s), so that it is never we who close
# one on which a request is on its way; as long may a new one say nothing. Neither costs a thread,
# nor does a request of which more is to come (docs/production.md, section 5).
keepalive = 75

# The longest that gunicorn allows, for filters in query strings.
limit_request_line = 8190

# By default gunicorn takes the path from the headers SCRIPT_NAME and PATH_INFO of whoever is in
# forwarded_allow_ips, and proxies pass such headers on from their clients.
forwarder_headers = ""

# A worker whose main thread is stuck this long is replaced; slow requests do not count.
timeout = 60

# What a worker that was told to stop may take to finish its requests. Whatever stops memapp must
# wait longer than DRAIN_SECONDS and this together (systemd TimeoutStopSec, stop_grace_period).
graceful_timeout = 30

# Heartbeats of the workers and what they count (METRICS) go to files; on a slow disk these would
# stall the worker.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108

# It lets every process of this user stop the service, and two services of one user collide on it.
control_socket_disable = True

nworkers_changed = serving.nworkers_changed
on_starting = serving.on_starting
when_ready = serving.when_ready
pre_fork = serving.pre_fork
child_exit = serving.child_exit
post_worker_init = serving.post_worker_init
pre_request = serving.pre_request
