"""What the demo tells: faults as they strike, alerts and verdicts as they come, and the summary.

Comes in: the simulated plant, its faults and what the daemon found. Goes out: lines of text and a
JSON object. This module refuses to know processes, brokers and terminals.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.records import EpisodeEvent, HealthEvent
from pipeline.core.settings import DetectionSettings
from pipeline.detect.explain import SHORT_WORDS
from pipeline.runtime.demo_verdict import Expected, Fate, Finding, Verdict, found_s, is_false, judge
from pipeline.sources.simulator import STEP_S, Fault, Plant

#: A fault is found while it lasts; one that is shorter than this, within so many of its stream's readings.
SHORTEST = 8
#: Readings after a fault's end within which alerts are its after-effects.
EFFECTS_GRACE = 150


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """One run of the demo.

    Attributes:
        plant: The plant and its ground truth.
        seed: Its seed.
        findings: Episodes that opened and verdicts that were raised, in order of time.
        reached: Newest step processed.
        n_readings: Readings accepted.
        seconds: Wall time from the first reading to the last.
    """

    plant: Plant
    seed: int
    findings: tuple[Finding, ...]
    reached: int
    n_readings: int
    seconds: float

    @property
    def struck(self) -> tuple[Fault, ...]:
        """Faults that have begun."""
        return tuple(fault for fault in self.plant.faults if fault.start <= self.reached)

    @property
    def is_complete(self) -> bool:
        """Every step of the run was processed."""
        return self.reached >= self.plant.n - 1

    @property
    def n_promised(self) -> float:
        """False alarms that the budget allows for what was watched."""
        watched_s = len(self.plant.values) * (self.reached + 1) * STEP_S
        return watched_s / DetectionSettings().seconds_per_false_alarm

    def verdict(self) -> Verdict:
        """Hold what was found against the faults that have begun."""
        expected = [expectation(self.plant, fault) for fault in self.struck]
        return judge(expected, self.findings, self.plant.time_s(self.reached))


def expectation(plant: Plant, fault: Fault) -> Expected:
    """Turn a fault into what the judge needs: event times by the readings of each stream."""
    streams = (fault.stream, *fault.affected)
    excused = tuple((stream, plant.time_s(plant.step_after(stream, fault.end, EFFECTS_GRACE))) for stream in streams)
    found_until = max(fault.end - 1, plant.step_after(fault.stream, fault.start, SHORTEST))
    return Expected(fault.stream, plant.time_s(fault.start), plant.time_s(found_until), excused)


def delay_readings(plant: Plant, fault: Fault, finding: Finding) -> int:
    """Return how many readings of the stream it took: 1 when the first altered one was enough."""
    steps = plant.reading_steps(fault.stream)
    found = round((found_s(finding) - plant.start_s) / STEP_S)
    return int(np.count_nonzero((steps >= fault.start) & (steps <= found)))


def fault_line(plant: Plant, fault: Fault) -> str:
    """Say that a fault strikes."""
    return f"fault  {_when(plant, plant.time_s(fault.start))}  {fault.stream}  {fault.kind}: {fault.story}"


def finding_line(plant: Plant, finding: Finding) -> str:
    """Say what an alert or a verdict found, and how late; or that nothing was planted there."""
    what = "alert " if isinstance(finding, EpisodeEvent) else "sensor"
    start = f"{what} {_when(plant, found_s(finding))}  {finding.stream}  "
    return f"{start}{_explained(plant, finding)}: {_evidence(finding)}"


def _explained(plant: Plant, finding: Finding) -> str:
    expected = [(fault, expectation(plant, fault)) for fault in plant.faults]
    for fault, each in expected:
        if each.is_found_by(finding):
            return f"{fault.kind} found {_delay(plant, fault, finding)}"
    if is_false([each for _, each in expected], finding):
        return f"false {_kind(finding)}, nothing was planted here"
    return "consequence of a planted fault"


def _kind(finding: Finding) -> str:
    return "alert" if isinstance(finding, EpisodeEvent) else "verdict"


def summary_lines(outcome: DemoOutcome) -> list[str]:
    """Return the closing summary, one line per fault and per false alert."""
    plant, verdict = outcome.plant, outcome.verdict()
    lines = [_headline(verdict, outcome.n_promised), _figures(outcome)]
    if not plant.faults:
        lines.append("The run was too short to plant faults: give it --duration 30 or more.")
    for fault, fate, finder in zip(outcome.struck, verdict.fates, verdict.finders, strict=True):
        how = f"{_delay(plant, fault, finder)}, {_words(finder)}" if finder else _afterwards(outcome, fault)
        lines.append(f"  {fate.value:9}  {fault.kind:10}  {fault.stream:32}  {how}".rstrip())
    false: tuple[Finding, ...] = (*verdict.false_alerts, *verdict.false_verdicts)
    lines += [
        f"  false      {'':10}  {each.stream:32}  {_when(plant, found_s(each))}, {_words(each)}" for each in false
    ]
    return lines


def _headline(verdict: Verdict, n_promised: float) -> str:
    undecided, n_verdicts = verdict.count(Fate.UNDECIDED), len(verdict.false_verdicts)
    return (
        f"Summary: {len(verdict.fates)} planted, {verdict.count(Fate.FOUND)} found, "
        f"{verdict.count(Fate.MISSED)} missed, {len(verdict.false_alerts)} false (the budget allows {n_promised:.0f})"
        + (f", {n_verdicts} false verdict{'s' if n_verdicts > 1 else ''} on sensors" if n_verdicts else "")
        + (f", {undecided} undecided when it ended" if undecided else "")
    )


def _figures(outcome: DemoOutcome) -> str:
    plant = outcome.plant
    rate = outcome.n_readings / outcome.seconds if outcome.seconds > 0 else 0.0
    days = (outcome.reached + 1) * STEP_S / 86_400
    early = "" if outcome.is_complete else f" (ended early, {plant.n * STEP_S / 86_400:.1f} days were planned)"
    return (
        f"{len(plant.values)} streams, {outcome.n_readings:,} readings, {days:.1f} simulated days in "
        f"{outcome.seconds:.0f} s: {rate:,.0f} readings/s{early}"
    )


def summary_json(outcome: DemoOutcome) -> dict[str, object]:
    """Return the summary for programs; times are event times in Unix seconds."""
    plant, verdict = outcome.plant, outcome.verdict()
    judged = zip(outcome.struck, verdict.fates, verdict.finders, strict=True)
    return {
        "seed": outcome.seed,
        "n_streams": len(plant.values),
        "n_steps": plant.n,
        "n_steps_processed": outcome.reached + 1,
        "is_complete": outcome.is_complete,
        "n_readings": outcome.n_readings,
        "duration_s": round(outcome.seconds, 3),
        "n_planted": len(verdict.fates),
        "n_found": verdict.count(Fate.FOUND),
        "n_missed": verdict.count(Fate.MISSED),
        "n_undecided": verdict.count(Fate.UNDECIDED),
        "n_false": len(verdict.false_alerts),
        "n_false_promised": round(outcome.n_promised, 1),
        "n_false_verdicts": len(verdict.false_verdicts),
        "faults": [_fault_json(plant, fault, fate, finder) for fault, fate, finder in judged],
        "false_alerts": [_finding_json(each) for each in verdict.false_alerts],
        "false_verdicts": [_finding_json(each) for each in verdict.false_verdicts],
    }


def _fault_json(plant: Plant, fault: Fault, fate: Fate, finder: Finding | None) -> dict[str, object]:
    return {
        "stream": fault.stream,
        "kind": fault.kind,
        "story": fault.story,
        "start_s": plant.time_s(fault.start),
        "end_s": plant.time_s(fault.end),
        "affected": list(fault.affected),
        "fate": fate.value,
        "delay_readings": delay_readings(plant, fault, finder) if finder else None,
        "found_by": _finding_json(finder) if finder else None,
    }


def _finding_json(finding: Finding) -> dict[str, object]:
    if isinstance(finding, HealthEvent):
        told = {"verdict": _verdict(finding), "since_s": finding.since_s, "text": finding.text}
        return {"stream": finding.stream, "raised_s": finding.at_s, **told}
    return _alert_json(finding)


def _alert_json(alert: EpisodeEvent) -> dict[str, object]:
    return {
        "stream": alert.stream,
        "episode": alert.episode,
        "opened_s": alert.opened_s,
        "score": round(alert.peak_score, 3),
        "view": alert.view,
    }


def _delay(plant: Plant, fault: Fault, finding: Finding) -> str:
    n = delay_readings(plant, fault, finding)
    minutes = round((found_s(finding) - plant.time_s(fault.start)) / 60)
    span = f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004 - an hour
    return f"after {n} reading{'s' if n > 1 else ''} ({span})"


def _afterwards(outcome: DemoOutcome, fault: Fault) -> str:
    """Say whether a missed fault was at least noticed by its end, which does not count as found."""
    end_s = outcome.plant.time_s(fault.end)
    excuses = expectation(outcome.plant, fault).excuses
    is_noticed = any(a.stream == fault.stream and found_s(a) >= end_s and excuses(a) for a in outcome.findings)
    return "noticed only when it was over" if is_noticed else ""


def _evidence(finding: Finding) -> str:
    if isinstance(finding, HealthEvent):
        return f"{_words(finding)}: {finding.text}"
    forecast = f", forecast {finding.forecast:.5g}" if np.isfinite(finding.forecast) else ""
    return f"{finding.value:.5g}{forecast}, score {finding.peak_score:.1f}, {_words(finding)}"


def _words(finding: Finding) -> str:
    if isinstance(finding, HealthEvent):
        return f"sensor {_verdict(finding).replace('_', ' ')}"
    return SHORT_WORDS.get(finding.view, finding.view)


def _verdict(finding: HealthEvent) -> str:
    return str(finding.verdict.name).lower()


def moment(plant: Plant, step: int) -> str:
    """Return the simulated time of a step as a viewer counts it: day of the run, time of day in UTC."""
    return _when(plant, plant.time_s(step))


def _when(plant: Plant, time_s: float) -> str:
    """Return an event time as a viewer counts it; the plant starts at midnight UTC."""
    minutes = round((time_s - plant.start_s) / 60)
    return f"day {minutes // 1440 + 1:2} {minutes // 60 % 24:02}:{minutes % 60:02}"
