"""Runs and judgements of an ablation, in as many processes as there are processors.

Comes in: NAB's files, settings and seeds. Goes out: a row per variant. Refuses to know terminals.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.core.settings import Settings
from pipeline.evaluate.ablation import Ablation, Plan, Row, Variant, judged, plan
from pipeline.evaluate.forecast import with_seed
from pipeline.evaluate.nab_alerts import Scored
from pipeline.evaluate.nab_corpus import NabFiles
from pipeline.evaluate.nab_run import run_setups
from pipeline.evaluate.nab_scorer import Corpus, Profile
from pipeline.evaluate.processes import each

#: Told what is at work, and how many more readings of it are done.
Progress = Callable[[str, int], None]
_JUDGING = "judging"


def ablate(files: NabFiles, settings: Settings, seeds: Sequence[int], progress: Progress) -> Ablation:
    """Run all variants of the detector over NAB's files, and judge them.

    Args:
        files: NAB's.
        settings: The detector as it is; all but the seed.
        seeds: Every setup is run with each.
        progress: Told what is at work; judging counts as one more run over all files.

    Raises:
        ForetellError: A process died, as for lack of memory.
    """
    wanted = plan(settings)
    runs = _runs(files, wanted, seeds, progress)
    jobs = [_Job(variant, files.corpus, files.profiles, runs[variant.run]) for variant in wanted.variants]
    rows: dict[int, Row] = {}
    for number, row in each(_judge, jobs):
        n_before = len(rows) * files.corpus.n_rows // len(jobs)
        rows[number] = row
        progress(_JUDGING, len(rows) * files.corpus.n_rows // len(jobs) - n_before)
    return Ablation(seeds, int(files.corpus.n_windows.sum()), [rows[number] for number in range(len(jobs))])


def _runs(
    files: NabFiles, wanted: Plan, seeds: Sequence[int], progress: Progress
) -> Mapping[str, Mapping[int, Sequence[Scored]]]:
    """Run every setup with every seed; return scored files by setup and seed."""
    setups = {
        (name, seed): replace(setup, settings=with_seed(setup.settings, seed))
        for name, setup in wanted.setups.items()
        for seed in seeds
    }
    found = run_setups(files.recordings, setups, lambda at, n: progress(f"{at[0]}, seed {at[1]}", n))
    return {name: {seed: found[name, seed] for seed in seeds} for name in wanted.setups}


@dataclass(frozen=True, slots=True)
class _Job:
    """A variant, and what it is judged on."""

    variant: Variant
    corpus: Corpus
    profiles: Sequence[Profile]
    runs: Mapping[int, Sequence[Scored]]


def _judge(job: _Job) -> Row:
    return judged(job.variant, job.corpus, job.profiles, job.runs)
