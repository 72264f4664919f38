# docker build -t flashpy .
# docker run --rm -p 8000:8000 -v "$PWD":/srv:ro flashpy

FROM python:3.13-slim AS build

RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY flashpy flashpy
COPY helpers helpers
COPY conf conf
COPY docs/flashpy.1 docs/flashpy.1
RUN python -m venv /opt/venv
RUN HATCH_BUILD_HOOK_ENABLE_MYPYC=1 /opt/venv/bin/pip install --no-cache-dir '.[auth,coding,http2,metrics]'


FROM python:3.13-slim

RUN groupadd --gid 10001 flashpy
RUN useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin flashpy
COPY --from=build /opt/venv /opt/venv
COPY docs/site /srv
ENV PATH=/opt/venv/bin:$PATH

USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["flashpy"]
CMD ["/srv", "--host", "0.0.0.0", "--port", "8000"]
