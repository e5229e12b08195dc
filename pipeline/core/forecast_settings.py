"""The settings of forecasting: the networks, what they see, and how they are trained.

Each has its default, unit, range and how to choose it; ``settings`` holds the other sections.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.core.edge_settings import Section


class ContextSettings(Section):
    """Other streams that a stream's network sees: commands, set points, neighbours."""

    stream: str = Field(
        min_length=1,
        max_length=256,
        title="Streams this is for, as a pattern with * and ?.",
        description="plant/*/temperature is every temperature of the plant.",
    )
    inputs: tuple[str, ...] = Field(
        min_length=1,
        max_length=32,
        title="Streams whose newest value comes in; {device} is the name up to its last slash.",
        description="{device}/valve is the valve of the same device.",
    )


class ForecastSettings(Section):
    """The LSTM bank."""

    sharing: Literal["stream", "group", "fleet", "auto"] = Field(
        "stream",
        title="Who shares a network: nobody, streams of one kind, all, or nobody while the budgets last.",
        description="See docs/sharing.md for what each costs and finds.",
    )
    kinds: tuple[str, ...] = Field(
        (),
        title="Patterns with * and ?; streams that match the same one are of one kind.",
        description="Others are of the kind that the last part of their name says: temperature, power.",
    )
    max_networks: int = Field(
        2000,
        ge=1,
        title="With sharing auto: more networks than this, and kinds begin to share.",
        description="About 110 KB of memory each, with an ensemble of three.",
    )
    ensemble: int = Field(
        3,
        ge=1,
        le=8,
        title="Networks per stream or group that differ in seed and training windows; their surprises are averaged.",
        description="Three detect better than two, and two than one, each for 41 KB and its share of training.",
    )
    cell: Literal["lstm", "peephole", "coupled", "gru", "rnn"] = Field(
        "lstm",
        title="Recurrent cell.",
        description="The others are for comparison; the plain RNN forgets within tens of readings.",
    )
    layers: int = Field(1, ge=1, le=4, title="Stacked layers.", description="More were no better on public recordings.")
    dropout: float = Field(0.0, ge=0, lt=1, title="Share of inputs of each layer dropped in training.")
    recurrent_dropout: float = Field(0.0, ge=0, lt=1, title="Share of hidden units dropped in training.")
    hidden: int = Field(
        24,
        ge=2,
        le=512,
        title="Hidden size H of each LSTM.",
        description="Bigger was no better on public recordings, and costs its square.",
    )
    horizon_short: int = Field(
        8,
        ge=2,
        le=256,
        title="Readings that the short mean forecast covers.",
        description="What should be noticed within so many readings.",
    )
    horizon_long: int = Field(
        32,
        ge=2,
        le=256,
        title="Readings that the long mean and activity forecasts cover.",
        description="Slow faults show in it; longer ones later.",
    )
    interval_percent: Literal[50, 90, 99] = Field(
        99,
        title="Readings in a hundred that fall inside the forecast interval that is shown: 50, 90 or 99.",
        description="What dashboards draw; it does not change scores or alerts.",
    )
    context: tuple[ContextSettings, ...] = Field(
        (),
        title="Other streams as inputs; the first entry that matches a stream counts.",
        description="- {stream: plant/*/temperature, inputs: ['{device}/valve']}",
    )
    seed: int = Field(
        1,
        ge=0,
        title="Seed of initial weights and of window sampling.",
        description="Another seed, other networks: to see how much is luck.",
    )

    @property
    def n_context(self) -> int:
        """Context inputs of every network: those of the stream that has most."""
        return max((len(entry.inputs) for entry in self.context), default=0)

    @model_validator(mode="after")
    def _horizons_ascend(self) -> Self:
        if self.horizon_short >= self.horizon_long:
            msg = "horizon_short must be smaller than horizon_long"
            raise ValueError(msg)
        return self


class TrainingSettings(Section):
    """Fine-tuning, on windows already seen."""

    enabled: bool = Field(
        default=True,
        title="Off: networks keep their initial damped persistence.",
        description="Turn it off to see what training is worth.",
    )
    every: int = Field(
        48, ge=8, title="Readings of a stream between two fine-tunes.", description="Rarer saves CPU and adapts later."
    )
    takeover: int = Field(
        0,
        ge=0,
        le=64,
        title="Readings of a stream for which a network that was taught waits; 0: taken over before the next one.",
        description="8 where finetune_runs_total says late and recordings must replay exactly; it costs detection.",
    )
    steps: int = Field(
        8,
        ge=1,
        le=256,
        title="Minibatches per fine-tune; twice as many while a stream is young.",
        description="Half as many cost detection, twice as many gained nothing.",
    )
    batch: int = Field(
        16, ge=1, le=256, title="Windows per minibatch and network.", description="Larger costs CPU in proportion."
    )
    window: int = Field(48, ge=16, le=512, title="Readings per training window.")
    learning_rate: float = Field(
        5e-3, gt=0, lt=1, title="Adam's step size.", description="Lower learnt too slowly on public recordings."
    )
    in_child: bool = Field(
        default=True,
        title="The daemon fine-tunes in a child process, so that no reading waits for it.",
        description="Off where memory is dear: the child takes about 300 MB.",
    )
    budget_percent: float = Field(
        50.0,
        gt=0,
        le=100,
        title="Processor time the child takes at most, percent of one core.",
        description="Raise it where finetune_lag_rounds stays above 1; a network takes about 7 ms.",
    )
    memory_mb: int = Field(
        512,
        ge=16,
        title="Memory that fine-tunes take at most, MB, beyond what the child takes at its start.",
        description="Big networks and batches need more.",
    )
    timeout_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        title="A child that has not answered after so long is replaced, seconds.",
        description="Its start counts too: longer on a slow machine.",
    )

    @model_validator(mode="after")
    def _taken_over_in_time(self) -> Self:
        if self.takeover >= self.every:
            msg = "takeover must be smaller than every"
            raise ValueError(msg)
        return self
