"""What is not collected where a library is missing."""

from importlib.util import find_spec

# Doctests import every module; pyspark is only in the environment of `make test-spark`.
collect_ignore = [] if find_spec("pyspark") else ["pipeline/scaleout/spark"]
