"""Settings that hold for every test: one thread, and repeatable draws."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
