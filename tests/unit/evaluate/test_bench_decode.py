"""Decoding a flat JSON message costs at most 12 microseconds beyond ``json.loads``, timed in one run."""

from pipeline.evaluate.bench_decode import MOST_US, bench_decode


def test_a_flat_message_costs_little_beyond_the_parser() -> None:
    costs = {cost.message: cost for cost in bench_decode()}
    assert costs["1 reading"].beyond_us <= MOST_US
    # On a machine whose parser is slower than the one the bar was set on, everything is: its ratio counts there.
    assert costs["5 readings"].beyond_us <= MOST_US or costs["5 readings"].ratio <= 6
    assert all(cost.decode_us > cost.json_us > 0 for cost in costs.values())
