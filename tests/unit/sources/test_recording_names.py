"""Stream names: safe, bounded, distinct."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.recording_names import distinct, recording_labels, stream_name

NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}")


@given(st.text(max_size=300))
def test_any_text_becomes_a_stream_name(text: str) -> None:
    assert NAME.fullmatch(stream_name(text))


@given(st.lists(st.sampled_from(["a", "a-2", "a-3", "b", "c" * 128])))
def test_distinct_names_are_distinct_and_bounded(names: list[str]) -> None:
    got = distinct(names)
    assert len(set(got)) == len(got) == len(names)
    assert all(NAME.fullmatch(name) for name in got)


def test_long_names_that_differ_at_the_end_stay_two() -> None:
    assert stream_name("x" * 200 + "a") != stream_name("x" * 200 + "b")


def test_files_of_one_name_take_as_many_folders_as_they_need() -> None:
    paths = [Path("/d/a/x/run.csv"), Path("/d/b/x/run.csv"), Path("/d/a/y/run.csv"), Path("/d/only.csv")]
    assert recording_labels(paths) == ["a/x/run", "b/x/run", "y/run", "only"]


def test_files_that_differ_only_in_kind_are_numbered() -> None:
    assert recording_labels([Path("/d/run.csv"), Path("/d/run.jsonl")]) == ["run", "run-2"]


def test_names_that_only_look_alike_after_cleaning_are_parted() -> None:
    assert recording_labels([Path("/d/a b.csv"), Path("/d/a_b.csv")]) == ["d/a_b", "d/a_b-2"]
