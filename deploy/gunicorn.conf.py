"""How gunicorn serves the study: gunicorn --config deploy/gunicorn.conf.py

WEB_CONCURRENCY: processes; more than 1 with PostgreSQL alone. BIND: where requests come from.
"""

import os
import shutil
from pathlib import Path

wsgi_app = "experiment_server:create_app()"
bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
threads = 8
timeout = 60
graceful_timeout = 30
keepalive = 75  # the connections kept are the proxy's, so they may last
worker_tmp_dir = "/dev/shm"  # the sign of life: on a disk that stalls, workers would seem dead
control_socket_disable = True
# No access log: it would write queries, and so Prolific ids. The server's own tells enough.

if workers > 1 and not os.environ.get("DATABASE_URL", "").startswith("postgresql"):
    raise SystemExit(
        f"Error: WEB_CONCURRENCY is {workers}: with SQLite one process serves; set it to 1, or"
        " DATABASE_URL to a PostgreSQL"
    )

# What workers count for /metrics. The files of those that ended stay, for the sums to be right.
_counts = Path(f"/dev/shm/experiment-server-{os.getpid()}")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_counts)


def on_starting(server):
    on_exit(server)  # of an earlier process with this number
    _counts.mkdir(mode=0o700)


def on_exit(server):
    shutil.rmtree(_counts, ignore_errors=True)
