"""The fuzzer is a program of its own, and atheris is not installed for the tests."""

collect_ignore = ["fuzz_decode.py"]
