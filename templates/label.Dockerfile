# Labels for an image where `commit` can't give it any.
ARG BASE
FROM ${BASE}
