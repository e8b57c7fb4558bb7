# The experiment server alone: no torch, no numpy, no networks. See docs/deployment.md.
FROM python:3.12-slim AS build
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /build
COPY pyproject.toml requirements.lock ./
# Versions and hashes of the lock, of those packages that the server needs.
RUN uv venv /venv \
 && uv pip install --python /venv --constraint requirements.lock -r pyproject.toml --extra server
COPY README.md LICENSE ./
COPY maco maco
COPY stimuli stimuli
COPY experiment_server experiment_server
COPY analysis analysis
RUN uv pip install --python /venv --no-deps . \
 && ! ls -d /venv/lib/python*/site-packages/torch /venv/lib/python*/site-packages/pandas 2>/dev/null

FROM python:3.12-slim
# For `backup` and `restore` with PostgreSQL.
RUN apt-get update \
 && apt-get install -y --no-install-recommends postgresql-client \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --create-home study \
 && install -d -o study -g study /data
COPY --from=build /venv /venv
COPY deploy/gunicorn.conf.py /gunicorn.conf.py
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 FLASK_APP=experiment_server \
    STUDY=/study DATA=/data LIVE=1 BIND=0.0.0.0:8000
USER study
WORKDIR /data
VOLUME /data
EXPOSE 8000
# Whether the process lives; whether it can serve is at /ready, and no reason to kill it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
CMD ["gunicorn", "--config", "/gunicorn.conf.py"]
