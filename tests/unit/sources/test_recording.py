"""What a recording file becomes: its readings, its streams, and what is said of the rest."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.core.records import Readings
from pipeline.sources.recording import Recording, read_recording

T0 = 1_400_030_040.0  # 2014-05-14T01:14:00Z


def recorded(tmp_path: Path, content: str | bytes, name: str = "pump.csv") -> Recording:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_recording(path)


def refusal(tmp_path: Path, content: str | bytes, name: str = "pump.csv") -> str:
    with pytest.raises(UsageError) as caught:
        recorded(tmp_path, content, name)
    return str(caught.value).replace(str(tmp_path / name), "FILE")


def attempt(tmp_path: Path, content: str | bytes, name: str) -> tuple[str, Readings | None]:
    try:
        return "", recorded(tmp_path, content, name).readings
    except UsageError as error:
        return str(error), None


def rows(recording: Recording) -> list[tuple[str, float, float]]:
    r = recording.readings
    names = [r.names[i] for i in r.stream]
    return list(zip(names, r.time.tolist(), r.value.tolist(), strict=True))


def test_a_narrow_file_is_one_stream_named_after_it(tmp_path: Path) -> None:
    got = recorded(tmp_path, "timestamp,value\n2014-05-14 01:14:00,20.5\n2014-05-14 01:15:00,21\n")
    assert rows(got) == [("pump", T0, 20.5), ("pump", T0 + 60, 21.0)]
    assert got.bad == {}


def test_a_wide_file_is_one_stream_per_numeric_column_in_row_order(tmp_path: Path) -> None:
    text = "datetime;Volume Flow;state;p\r\n2014-05-14 01:14:00;1;on;2\r\n2014-05-14 01:14:01;3;off;4\r\n"
    got = recorded(tmp_path, text)
    assert rows(got) == [
        ("pump/Volume_Flow", T0, 1.0),
        ("pump/p", T0, 2.0),
        ("pump/Volume_Flow", T0 + 1, 3.0),
        ("pump/p", T0 + 1, 4.0),
    ]


def test_a_long_file_is_one_stream_per_name_in_its_stream_column(tmp_path: Path) -> None:
    got = recorded(tmp_path, "sensor,time,value\nhall/t,1400030040,1\nyard,1400030041,2\nhall/t,1400030042,3\n")
    assert rows(got) == [("hall/t", T0, 1.0), ("yard", T0 + 1, 2.0), ("hall/t", T0 + 2, 3.0)]


def test_a_long_file_without_a_value_column_names_streams_by_both(tmp_path: Path) -> None:
    got = recorded(tmp_path, "time,device,temp,rpm\n1400030040,fan 1,20,900\n")
    assert rows(got) == [("fan_1/temp", T0, 20.0), ("fan_1/rpm", T0, 900.0)]


def test_whole_numbers_name_streams_beside_a_value_column_and_are_values_alone(tmp_path: Path) -> None:
    beside = recorded(tmp_path, "time,sensor,level\n1400030040,7,1.5\n1400030041,8,2.5\n")
    assert list(beside.readings.names) == ["7", "8"]
    alone = recorded(tmp_path, "time,sensor\n1400030040,7\n1400030041,8\n")
    assert rows(alone) == [("pump", T0, 7.0), ("pump", T0 + 1, 8.0)]


def test_scores_that_were_written_can_be_replayed(tmp_path: Path) -> None:
    head = "stream,timestamp,value,forecast,lower,upper,residual,score,level,episode,event,health"
    got = recorded(tmp_path, f"{head}\na/b,2014-05-14T01:14:00Z,5,4,3,5,1,0.5,4.5,,,\n")
    assert rows(got) == [("a/b", T0, 5.0)]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", ["time{0}value\n", ""])
def test_separator_and_header_are_recognised(tmp_path: Path, separator: str, header: str) -> None:
    body = "".join(f"2014-05-14T01:14:0{i}Z{separator}{i}.5\n" for i in range(5))
    got = recorded(tmp_path, header.format(separator) + body)
    assert rows(got) == [("pump", T0 + i, i + 0.5) for i in range(5)]


def test_a_long_file_without_header_takes_its_text_for_stream_names(tmp_path: Path) -> None:
    got = recorded(tmp_path, "2014-05-14T01:14:00Z,a,1\n2014-05-14T01:14:00Z,b,2\n")
    assert rows(got) == [("a", T0, 1.0), ("b", T0, 2.0)]


def test_epochs_without_header_are_times(tmp_path: Path) -> None:
    assert rows(recorded(tmp_path, "1400030040,1\n1400030041,2\n")) == [("pump", T0, 1.0), ("pump", T0 + 1, 2.0)]


def test_a_decimal_comma_is_one_beside_another_separator(tmp_path: Path) -> None:
    got = recorded(tmp_path, "time;a;b\n1400030040;1,5;2\n1400030041;-3,25;2.5\n")
    assert [value for _, _, value in rows(got)] == [1.5, 2.0, -3.25, 2.5]


def test_date_and_time_of_day_in_two_columns_are_joined(tmp_path: Path) -> None:
    got = recorded(tmp_path, "date,time,value\n2014-05-14,01:14:00,1\n2014-05-14,01:15:00,2\n")
    assert rows(got) == [("pump", T0, 1.0), ("pump", T0 + 60, 2.0)]


def test_a_table_written_with_an_unnamed_index_keeps_its_times_and_loses_its_row_numbers(tmp_path: Path) -> None:
    by_time = recorded(tmp_path, ",a,b\n2014-05-14 01:14:00,1,2\n")
    assert rows(by_time) == [("pump/a", T0, 1.0), ("pump/b", T0, 2.0)]
    by_number = recorded(tmp_path, ",timestamp,a\n0,2014-05-14 01:14:00,1\n")
    assert rows(by_number) == [("pump", T0, 1.0)]


def test_byte_order_mark_and_blank_lines_and_quotes_are_no_matter(tmp_path: Path) -> None:
    got = recorded(tmp_path, b'\xef\xbb\xbf"timestamp","value"\r\n\r\n"2014-05-14 01:14:00","1.5"\r\n\r\n')
    assert rows(got) == [("pump", T0, 1.5)]


def test_a_missing_value_stays_as_a_reading_in_a_narrow_file_only(tmp_path: Path) -> None:
    narrow = recorded(tmp_path, "time,value\n1400030040,\n1400030041,NaN\n1400030042,1\n")
    assert np.isnan(narrow.readings.value).tolist() == [True, True, False]
    wide = recorded(tmp_path, "time,a,b\n1400030040,,1\n1400030041,2,nan\n")
    assert rows(wide) == [("pump/b", T0, 1.0), ("pump/a", T0 + 1, 2.0)]


def test_a_column_that_is_empty_at_first_is_judged_when_it_fills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.recording_text.CHUNK_CELLS", 6)
    body = "".join(f"{1400030040 + i},{i},{'' if i < 4 else i}\n" for i in range(6))
    got = recorded(tmp_path, "time,a,b\n" + body)
    assert [row for row in rows(got) if row[0] == "pump/b"] == [("pump/b", T0 + 4, 4.0), ("pump/b", T0 + 5, 5.0)]


def test_bad_rows_are_counted_by_reason_with_the_first_place(tmp_path: Path) -> None:
    good = "".join(f"{1400030040 + i},{i}\n" for i in range(6))
    got = recorded(tmp_path, f"time,value\n{good}1,2,3\nsoon,4\n1400030050,hot\n1400030051,cold\n")
    assert len(got.readings) == 6
    assert {reason: bad.n for reason, bad in got.bad.items()} == {
        "wrong number of cells": 1,
        "unreadable time": 1,
        "unreadable number": 2,
    }
    assert got.bad["wrong number of cells"].first.endswith("pump.csv:8: 3 cells where 2 are named")
    assert got.bad["unreadable time"].first.endswith("pump.csv:9: column 'time' holds 'soon'")
    assert got.bad["unreadable number"].first.endswith("pump.csv:10: column 'value' holds 'hot'")


def test_a_time_far_out_of_range_is_unreadable(tmp_path: Path) -> None:
    got = recorded(tmp_path, "time,value\n2014-05-14,1\n9999-12-31,2\n")
    assert len(got.readings) == 1
    assert got.bad["unreadable time"].n == 1


def test_an_unclosed_quote_costs_rows_not_the_file(tmp_path: Path) -> None:
    body = "".join(f"{1400030040 + i},{i}\n" for i in range(50_000))
    got = recorded(tmp_path, f'time,value\n1400030000,1\n1400030001,"2\n{body}')
    assert len(got.readings) > 10_000
    assert got.bad["unreadable row"].n == 1


def test_json_lines_are_wide_or_long(tmp_path: Path) -> None:
    wide = recorded(tmp_path, '{"ts": 1400030040, "t": 20.5, "on": true, "note": "x", "more": {"a": 1}}\n', "a.jsonl")
    assert rows(wide) == [("a/t", T0, 20.5), ("a/on", T0, 1.0)]
    row = '{"stream": "%s", "time": "2014-05-14T01:14:00%s", "value": %d}'
    long = recorded(tmp_path, "\n".join([row % ("s", "Z", 1), row % ("u", "Z", 2), row % ("u", "!", 3)]), "a.ndjson")
    assert rows(long) == [("s", T0, 1.0), ("u", T0, 2.0)]
    assert long.bad["unreadable time"].n == 1


def test_json_keys_may_come_and_go(tmp_path: Path) -> None:
    got = recorded(tmp_path, '{"t":1400030040,"a":1}\n{"t":1400030041,"b":2}\n{"a":3}\n', "a.jsonl")
    assert rows(got) == [("a/a", T0, 1.0), ("a/b", T0 + 1, 2.0)]
    assert got.bad["unreadable time"].first.endswith("a.jsonl:3: column 't' holds nothing")


def test_hostile_json_lines_are_counted(tmp_path: Path) -> None:
    lines = ["[1]", "{", "[" * 100_000, "1" * 5000, '{"t":1400030040,"v":1}', '{"t":1400030041,"v":1' + "0" * 400 + "}"]
    got = recorded(tmp_path, "\n".join(lines), "a.json")
    assert rows(got) == [("a", T0, 1.0)]
    assert {reason: bad.n for reason, bad in got.bad.items()} == {"not a JSON object": 4, "unreadable number": 1}


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_parquet_holds_typed_columns(tmp_path: Path, unit: str) -> None:
    pa: Any = pytest.importorskip("pyarrow")
    pq: Any = pytest.importorskip("pyarrow.parquet")
    times = [datetime.fromtimestamp(T0 + i, UTC) for i in range(3)]
    table = pa.table(
        {
            "when": pa.array(times, pa.timestamp(unit, tz="UTC")),
            "a": pa.array([1, None, 3], pa.int64()),
            "b": pa.array([1.5, 2.5, None]),
            "note": pa.array(["x", "y", None]),
            "list": pa.array([[1], [2], [3]]),
        }
    )
    pq.write_table(table, tmp_path / "p.parquet")
    got = rows(read_recording(tmp_path / "p.parquet"))
    assert got == [("p/a", T0, 1.0), ("p/b", T0, 1.5), ("p/b", T0 + 1, 2.5), ("p/a", T0 + 2, 3.0)]


def test_a_long_parquet_file_reads_like_a_long_csv_file(tmp_path: Path) -> None:
    pa: Any = pytest.importorskip("pyarrow")
    pq: Any = pytest.importorskip("pyarrow.parquet")
    streams = pa.array(["u", "v", "u"]).dictionary_encode()
    table = pa.table({"stream": streams, "ts": [1400030040000, 1400030041000, 1400030042000], "value": [1.0, 2.0, 3.0]})
    pq.write_table(table, tmp_path / "p.parquet")
    assert rows(read_recording(tmp_path / "p.parquet")) == [("u", T0, 1.0), ("v", T0 + 1, 2.0), ("u", T0 + 2, 3.0)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "FILE:1: holds no rows"),
        ("\n\n", "FILE:1: holds no rows"),
        ("timestamp,value\n", "FILE:1: holds no rows"),
        ("a,b\n1,2\n", "FILE:2: no time column among: a, b"),
        ("time,value\n14.05.2014 01:14,2\n", "FILE:2: column 'time' holds '14.05.2014 01:14', not a time"),
        ("time,value\n,2\n", "FILE:2: column 'time' is empty"),
        ("time,state\n2014-05-14,on\n", "FILE:1: no numeric column beside 'time'"),
        ("time,value\n2014-05-14,1,\n", "FILE: no readable row: wrong number of cells, first FILE:2: 3 cells where 2"),
        (b"time,value\n\x00\x01\x02", "FILE:2: binary data, not text"),
        (b"time,value\n2014-05-14,1\n2014-05-15,\xb05\n", "FILE:3: byte 0xb0 in column 12 is not UTF-8"),
        ("x" * (1 << 20), "FILE:1: line of more than 1048576 bytes"),
        ("a," * 5000 + "\n", "FILE:1: has more than 4096 columns"),
        (b"PAR1 and then nothing that is Parquet", "FILE:1: not a sound Parquet file"),
        ("[1, 2]\nnonsense\n", "FILE: no readable row"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(tmp_path: Path, content: str | bytes, said: str) -> None:
    name = "pump.jsonl" if str(content).startswith("[") else "pump.csv"
    line = refusal(tmp_path, content, name)
    assert line.startswith(said)
    assert line.isprintable()
    assert "; " in line


def test_missing_files_and_directories_are_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv: no such file; check the path"):
        read_recording(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="is a directory; name the files in it"):
        read_recording(tmp_path)


def test_a_terminal_sequence_in_a_cell_is_shown_harmless(tmp_path: Path) -> None:
    line = refusal(tmp_path, "time,value\n\x1b[31mred,2\n")
    assert line.isprintable()


@given(st.binary(max_size=400), st.sampled_from(["x.csv", "x.jsonl", "x.parquet"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_readings_or_one_clear_line(tmp_path: Path, content: bytes, name: str) -> None:
    said, readings = attempt(tmp_path, content, name)
    assert said.isprintable()
    assert readings is None or np.isfinite(readings.time).all()


CELLS = st.sampled_from(
    ["", "1", "2.5", "-3,5", "NaN", "inf", "2014-05-14", "2014-05-14T01:14:00Z", "a", '"', "1e999", "time"]
)


@given(st.lists(st.lists(CELLS, max_size=4).map(",".join), max_size=8).map("\n".join))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_is_readings_or_one_clear_line(tmp_path: Path, content: str) -> None:
    said, readings = attempt(tmp_path, content, "x.csv")
    assert said.isprintable()
    assert readings is None or 0 <= readings.stream.max() < len(readings.names)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_numbers_come_back_exactly(tmp_path: Path, values: list[float]) -> None:
    text = "time,value\n" + "".join(f"{1400030040 + i},{value!r}\n" for i, value in enumerate(values))
    assert recorded(tmp_path, text).readings.value.tolist() == values


def test_parquet_without_pyarrow_is_refused_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'foretell[parquet]'" in refusal(tmp_path, b"PAR1")
