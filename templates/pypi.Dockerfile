# A box with PyPI packages. Values come in as build arguments; the context holds the lock, the
# guest and install.sh. Secrets are mounted for the one step that fetches and stay in no layer.
ARG BASE
FROM ${BASE}
ARG RUN=""
LABEL io.jitbox.run=${RUN}
ARG APT=""
COPY . /jitbox/
RUN --mount=type=secret,id=netrc --mount=type=secret,id=proxy sh /jitbox/install.sh
WORKDIR /
ENTRYPOINT ["/jitbox/guest"]
