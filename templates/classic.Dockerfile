# The same box for docker's classic builder, which knows neither secrets nor mounts: it is only
# used where the registry needs no secret.
ARG BASE
FROM ${BASE}
ARG RUN=""
LABEL io.jitbox.run=${RUN}
ARG APT=""
COPY . /jitbox/
RUN sh /jitbox/install.sh
WORKDIR /
ENTRYPOINT ["/jitbox/guest"]
