"""How gunicorn serves the study: gunicorn --config deploy/gunicorn.conf.py

WEB_CONCURRENCY: processes; more than 1 with PostgreSQL alone. BIND: where requests come from.
"""

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

wsgi_app = "experiment_server:create_app()"
bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
threads = 8 if workers == 1 else 4  # docs/load.md was measured with these
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


# A reload (SIGHUP). Gunicorn alone ends the old workers when it has begun the new ones, which take
# seconds to import everything. Here each of the new ends those it replaces, once it can serve.
_leaving = []


def on_reload(server):
    old = list(server.WORKERS)
    _leaving[:] = [old[first::workers] for first in range(workers)]
    server.num_workers = len(old) + workers


def pre_fork(server, worker):
    worker.replaces = _leaving.pop() if _leaving else []
    worker.leaving = _leaving  # of this reload: the file is read anew with each


def post_worker_init(worker):
    for pid in worker.replaces:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def child_exit(server, worker):
    unserved = any(pid in server.WORKERS for pid in worker.replaces)
    if unserved and worker.leaving is _leaving:
        _leaving.append(worker.replaces)  # it was killed before it could serve: for the next one
    elif server.num_workers > workers:
        server.num_workers -= 1
