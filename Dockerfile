# Two stages, so that the final image has no compiler and no installer; it doesn't run as root.
FROM python:3.13-slim AS build
RUN pip install --no-cache-dir --disable-pip-version-check uv
RUN python -m venv --without-pip /opt/paidchat
WORKDIR /src
# The dependencies get their own layer, because they change less often than the code.
COPY pyproject.toml constraints.txt ./
RUN uv pip install --no-cache --compile-bytecode --python /opt/paidchat/bin/python \
    --constraints constraints.txt --requirements pyproject.toml
COPY README.md LICENSE ./
COPY frontend frontend
COPY src src
RUN uv build --no-cache --wheel --out-dir /dist \
    && uv pip install --no-cache --compile-bytecode --no-deps --python /opt/paidchat/bin/python /dist/*.whl

FROM python:3.13-slim
# Orders text from right to left in the pictures of messages.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libfribidi0 \
    && rm -rf /var/lib/apt/lists/*
# Numeric ids, so that an orchestrator can tell that this user is not root.
RUN groupadd --gid 10001 paidchat \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin paidchat \
    && install --directory --owner=10001 --group=10001 /data
COPY --from=build /opt/paidchat /opt/paidchat
ENV PATH=/opt/paidchat/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PAIDCHAT_DATABASE_URL=sqlite:////data/paidchat.db
# The only folder the board writes to: everything else may be read-only.
VOLUME /data
WORKDIR /data
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["paidchat", "serve", "--host", "0.0.0.0", "--port", "8000"]
