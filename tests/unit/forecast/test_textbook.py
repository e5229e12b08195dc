"""What the textbooks ask of a recurrent network, trained for real: counting on, weather, memory, missing readings."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, l1_loss, mse_loss

from pipeline.core.records import F64, Bool
from pipeline.forecast.by_torch.stack import sequence
from pipeline.forecast.stack import Stack


class Lesson(NamedTuple):
    """Inputs (T, 1, B, F), what the right answer is, and which steps are there (T, 1, B)."""

    x: Tensor
    answer: Tensor
    is_there: Tensor | None = None


class Pupil:
    """One network: a stack, and a linear head over [h, x] that starts by repeating the first input, or with nothing."""

    def __init__(self, stack: Stack, n_outputs: int, seed: int, *, repeats: bool = True) -> None:
        self.stack = stack
        self.weights = torch.from_numpy(stack.initial(np.random.default_rng(seed).random((1, stack.n_weights))))
        self.head = torch.zeros(stack.n_hidden + stack.n_inputs, n_outputs)
        self.head[stack.n_hidden, 0] = float(repeats)

    def answer(self, lesson: Lesson) -> Tensor:
        """Return the outputs after each step, shape (T, B, n_outputs)."""
        hs, _ = sequence(self.stack, self.weights, lesson.x, lesson.is_there)
        return (torch.cat((hs, lesson.x.nan_to_num()), dim=-1) @ self.head)[:, 0]

    def learn(
        self,
        lesson: Callable[[], Lesson],
        loss: Callable[[Tensor, Lesson], Tensor],
        n_rounds: int,
        learning_rate: float = 0.01,
    ) -> None:
        """Take a step of Adam, with clipped gradients, on each of ``n_rounds`` lessons."""
        parameters = [self.weights.requires_grad_(), self.head.requires_grad_()]
        adam = torch.optim.Adam(parameters, learning_rate)
        for _ in range(n_rounds):
            today = lesson()
            adam.zero_grad()
            loss(self.answer(today), today).backward()  # type: ignore[no-untyped-call] # torch leaves backward untyped
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            adam.step()
        self.weights, self.head = self.weights.detach(), self.head.detach()


def windows(values: Tensor, length: int) -> Lesson:
    """Return all windows of ``length`` values, each with the value after it as the answer."""
    cut = values.unfold(0, length + 1, 1).T  # oldest first, shape (length + 1, B)
    return Lesson(cut[:-1, None, :, None], cut[-1])


def test_after_learning_to_count_to_ten_in_windows_of_three_eleven_follows_8_9_10() -> None:
    pupil = Pupil(Stack("lstm", n_inputs=1, n_hidden=8), n_outputs=1, seed=1)
    lesson = windows(torch.arange(1.0, 11.0) / 10, 3)
    pupil.learn(lambda: lesson, lambda out, asked: mse_loss(out[-1, :, 0], asked.answer), n_rounds=300)
    asked = Lesson(torch.tensor([0.8, 0.9, 1.0]).view(3, 1, 1, 1), torch.empty(0))
    assert 10 * pupil.answer(asked)[-1].item() == pytest.approx(11, abs=0.3)


def a_year_of_temperatures(seed: int) -> F64:
    """Return daily means in degrees: seasons, weather fronts about every eight days, and a little noise."""
    rng, n_days, damping = np.random.default_rng(seed), 365, 0.92
    fronts, shock = np.zeros(n_days), rng.normal(0, 1.5, n_days)
    for t in range(2, n_days):
        swing = 2 * damping * np.cos(2 * np.pi / 8) * fronts[t - 1] - damping**2 * fronts[t - 2]
        fronts[t] = swing + shock[t]
    seasons: F64 = 10 - 10 * np.cos(2 * np.pi * np.arange(n_days) / 365)
    return seasons + fronts + rng.normal(0, 0.5, n_days)


def test_tomorrows_temperature_from_the_last_six_days_beats_persistence_by_15_percent_on_the_last_quarter() -> None:
    known, held_out = np.split((a_year_of_temperatures(seed=1) - 10) / 10, [274])
    lesson, asked = (windows(torch.from_numpy(part).float(), 6) for part in (known, held_out))
    pupil = Pupil(Stack("lstm", n_inputs=1, n_hidden=8), n_outputs=1, seed=1)
    pupil.learn(lambda: lesson, lambda out, asked: l1_loss(out[-1, :, 0], asked.answer), n_rounds=120)
    error = l1_loss(pupil.answer(asked)[-1, :, 0], asked.answer)
    of_persistence = l1_loss(asked.x[-1, 0, :, 0], asked.answer)
    assert error <= 0.85 * of_persistence


def symbols_to_remember(n_steps: int, seed: int) -> Callable[[], Lesson]:
    """Return an endless supply of random symbols, one of two at each step, of which the first is to be remembered."""
    generator = torch.Generator().manual_seed(seed)

    def lesson() -> Lesson:
        symbol = torch.randint(2, (n_steps, 1, 64), generator=generator)
        is_first = (torch.arange(n_steps) == 0)[:, None, None].expand_as(symbol)
        return Lesson(torch.stack((symbol == 0, symbol == 1, is_first), dim=-1).float(), symbol[0, 0])

    return lesson


def recall_over_100_steps(cell: str, seed: int) -> float:
    """Train on the first symbol of 100 and return how often it is recalled at the end."""
    n_steps, n = 100, 16
    pupil = Pupil(Stack(cell, n_inputs=3, n_hidden=n), n_outputs=2, seed=seed, repeats=False)
    if cell == "lstm":  # gates that start out remembering for about as long (Tallec & Ollivier 2018)
        of_i, of_f = pupil.weights[0, -4 * n : -3 * n], pupil.weights[0, -3 * n : -2 * n]
        of_f.fill_(np.log(n_steps - 1))
        of_i.fill_(-np.log(n_steps - 1))
    lesson = symbols_to_remember(n_steps, seed)
    pupil.learn(lesson, lambda out, asked: cross_entropy(out[-1], asked.answer), n_rounds=250, learning_rate=0.005)
    exams = [lesson() for _ in range(8)]
    is_right = torch.cat([pupil.answer(exam)[-1].argmax(dim=-1) == exam.answer for exam in exams])
    return is_right.float().mean().item()


def test_a_symbol_is_recalled_over_100_steps_by_the_lstm_and_not_by_the_plain_rnn() -> None:
    assert recall_over_100_steps("lstm", seed=1) > 0.95
    assert recall_over_100_steps("rnn", seed=1) < 0.7  # a guess is right half the time


def sine_with_noise(is_there: Bool, seed: int) -> Tensor:
    """Return a noisy sine where it is there and NaN elsewhere, beside the steps missed just before, shape (T, 2)."""
    at = np.arange(len(is_there))
    values = np.sin(2 * np.pi * at / 48) + np.random.default_rng(seed).normal(0, 0.2, len(at))
    last = np.maximum.accumulate(np.where(is_there, at, 0))
    n_missed = np.concatenate(([0], at[1:] - last[:-1] - 1))
    return torch.from_numpy(np.stack((np.where(is_there, values, np.nan), n_missed), axis=1)).float()


def error_on_the_next_reading(sine: Tensor, asked: Bool, seed: int) -> float:
    """Train on the earlier part of ``sine`` and return the MAE of the next reading on the later, where asked."""
    n_known, n_steps = 1500, 60
    generator = torch.Generator().manual_seed(seed)

    def lesson() -> Lesson:
        at = torch.randint(n_known - n_steps, (32,), generator=generator)
        x = sine[at + torch.arange(n_steps)[:, None]]
        is_there = x[..., 0].isfinite()
        return Lesson(x[:, None], x[..., 0].where(is_there, 0), is_there[:, None])

    def loss(out: Tensor, today: Lesson) -> Tensor:
        assert today.is_there is not None
        counts = today.is_there[9:, 0]
        return ((out[8:-1, :, 0] - today.answer[9:]).abs() * counts).sum() / counts.sum()

    pupil = Pupil(Stack("lstm", n_inputs=2, n_hidden=12), n_outputs=1, seed=seed)
    pupil.learn(lesson, loss, n_rounds=300)
    later = sine[n_known:, None, None]
    out = pupil.answer(Lesson(later, torch.empty(0), later[..., 0].isfinite()))[:-1, 0, 0]
    return (out - later[1:, 0, 0, 0])[torch.from_numpy(asked[n_known + 1 :])].abs().mean().item()


def test_20_percent_of_readings_missing_cost_at_most_15_percent_on_a_sine_with_noise() -> None:
    n_readings, seed = 3000, 1
    is_there: Bool = np.random.default_rng(seed).random(n_readings) >= 0.2
    with_gaps = error_on_the_next_reading(sine_with_noise(is_there, seed), is_there, seed)
    whole = error_on_the_next_reading(sine_with_noise(np.ones(n_readings, bool), seed), is_there, seed)
    assert with_gaps <= 1.15 * whole
