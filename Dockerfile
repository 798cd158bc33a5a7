# Two images of one program:
#   docker build --target cpu -t strefer:cpu .     profile lite, any machine
#   docker build --target gpu -t strefer:gpu .     NVDEC, Triton, TensorRT on NVIDIA's own PyTorch image
#   docker run --rm -v "$PWD:/work" strefer:cpu annotate clip.mp4 --out out
#   docker run strefer:cpu worker --kafka broker:9092 --health 8080
#   docker run --rm --gpus all -v "$PWD:/work" -v strefer-cache:/cache strefer:gpu doctor
# The user in the image is no root but uid 10001: folders mounted into it must be writable for it, or run the image
# with --user "$(id -u):$(id -g)".

ARG PYTHON=3.12-slim-bookworm
# The NGC image brings torch, Triton, TensorRT and DALI built for each other: nothing below may replace them.
ARG NGC=25.12-py3

FROM python:${PYTHON} AS wheel
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY stream stream
COPY kernels kernels
COPY engines engines
COPY producers producers
COPY instruct instruct
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist . \
    && cp constraints.txt /dist

FROM python:${PYTHON} AS cpu
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    python -m venv /opt/strefer \
    && wheel=$(echo /dist/*.whl) \
    && /opt/strefer/bin/pip install --no-cache-dir -c /dist/constraints.txt \
        "strefer-stream[cpu,kafka,view] @ file://${wheel}" \
    && useradd --uid 10001 --create-home strefer \
    && install -d -m 1777 /work /cache
# Models and built engines are kept in the cache: mount a volume there.
ENV PATH=/opt/strefer/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/cache
USER 10001
WORKDIR /work
# A worker is asked at port 8080 (--health 8080); whoever serves no health is taken to be well.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5m --retries=3 \
    CMD ["python", "-P", "-m", "stream.health_probe"]
ENTRYPOINT ["strefer"]
CMD ["--help"]

FROM nvcr.io/nvidia/pytorch:${NGC} AS gpu
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# The environment sees the image's packages and holds only what the image lacks. Not the extra `gpu`: that one names
# torch. The check at the end ends the build should torch, Triton, TensorRT or DALI have been shadowed or be missing.
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    python -m venv --system-site-packages /opt/strefer \
    && wheel=$(echo /dist/*.whl) \
    && PIP_CONSTRAINT="" /opt/strefer/bin/pip install --no-cache-dir \
        "strefer-stream[kafka] @ file://${wheel}" "onnxruntime-gpu>=1.22" \
    && for module in torch triton tensorrt nvidia.dali; do \
        /opt/strefer/bin/python -c "import sys; from importlib.util import find_spec; s = find_spec('${module}'); \
sys.exit(0 if s and not s.origin.startswith('/opt/strefer') else '${module} is missing or replaced')" || exit 1; \
    done \
    && useradd --uid 10001 --create-home strefer \
    && install -d -m 1777 /work /cache
# `video` is what lets a container reach NVDEC and NVENC.
ENV PATH=/opt/strefer/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/cache \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
USER 10001
WORKDIR /work
# A worker is asked at port 8080 (--health 8080); whoever serves no health is taken to be well.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30m --retries=3 \
    CMD ["python", "-P", "-m", "stream.health_probe"]
ENTRYPOINT ["strefer"]
CMD ["--help"]
