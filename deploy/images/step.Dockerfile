# The image animus-step for places where a registry is in reach: what deploy/images/definitions.py
# says, on Debian's own base. Its digest differs from that of the image built without a registry.
#   make build
#   docker build --file deploy/images/step.Dockerfile --tag REGISTRY/animus-step .
ARG DEBIAN=debian:12.11-slim
ARG GO=golang:1.26.8-bookworm

FROM ${GO} AS launcher
COPY deploy/images/launcher /build
RUN cd /build \
    && CGO_ENABLED=0 GOOS=linux GOARCH=amd64 GOAMD64=v1 GOFLAGS=-mod=readonly GOTOOLCHAIN=local GOWORK=off \
       go build -trimpath -buildvcs=false -ldflags "-s -w -buildid=" -o /launch .

FROM ${DEBIAN} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip
COPY deploy/images/step-requirements.txt /build/requirements.txt
RUN python3 -m pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: \
    --target /site --requirement /build/requirements.txt
COPY dist/animus_datalab-*.whl /build/
RUN python3 -m pip install --no-cache-dir --no-deps --no-index --target /site /build/*.whl \
    && rm -rf /site/bin \
    && python3 -m compileall -q --invalidation-mode unchecked-hash -s /site \
       -p /usr/local/lib/python3.11/dist-packages /site

FROM ${DEBIAN}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
       coreutils dash libstdc++6 python3-minimal python3.11 \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s python3 /usr/bin/python \
    && echo "step:x:10001:0:step:/tmp:/bin/sh" >> /etc/passwd \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=build /site /usr/local/lib/python3.11/dist-packages
COPY --from=launcher /launch /usr/local/libexec/animus/launch
ENV PATH=/usr/local/bin:/usr/bin LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.title=animus-step
USER 10001:0
WORKDIR /
ENTRYPOINT ["python3", "-m", "animus_sdk.step"]
