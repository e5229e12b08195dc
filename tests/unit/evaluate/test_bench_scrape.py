"""The benchmark of scrapes measures what it says, in a few seconds of a small fleet."""

from pipeline.evaluate.bench_scrape import bench_scrape


def test_a_small_fleet_is_scraped_and_its_batches_are_timed() -> None:
    cost = bench_scrape(20, n_streams=40, turns=1, turn_s=1.5)
    assert (cost.n_streams, cost.n_with_series) == (40, 20)
    assert cost.n_scrapes >= 1
    assert 0 < cost.median_ms <= cost.worst_ms
    assert cost.size_bytes > 10_000
    assert min(cost.alone_p99_ms, cost.scraped_p99_ms) > 0
