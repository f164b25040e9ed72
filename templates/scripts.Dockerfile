# A box with what its packages' install scripts made. BASE is the box without it.
ARG BASE
FROM ${BASE}
ARG RUN=""
LABEL io.jitbox.run=${RUN}
ADD scripts.tar /app/
