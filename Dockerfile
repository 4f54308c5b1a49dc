# The workflow with its locked environment:
#
#   docker build -t incbayes .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD":/work incbayes \
#       snakemake --snakefile /opt/incbayes/Snakefile --cores all
#
# Results are written to the folder that is mounted at /work.
FROM python:3.13-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/incbayes
COPY Makefile requirements.lock pyproject.toml README.md LICENSE ./
COPY workflow workflow
RUN make environment && chmod -R a+rX .venv

COPY Snakefile config.yaml ./
COPY studies studies
COPY profiles profiles
COPY envs envs

# Any user may run it: what is cached goes where everybody may write.
ENV PATH=/opt/incbayes/.venv/bin:$PATH HOME=/tmp XDG_CACHE_HOME=/tmp/.cache
WORKDIR /work
CMD ["incbayes", "--help"]
