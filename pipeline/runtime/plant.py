"""The plant's own process: the embedded broker, and a publisher that keeps the simulated pace.

Comes in: arguments, then on stdin one number per line: the step up to which it may publish. Goes out:
the messages, and on stdout JSON lines: ``{"port": ...}`` first, then ``{"step": ...}`` as it goes.
When stdin ends, its parent is gone or done with it, and it ends too. It refuses to know who listens.
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress

from pipeline.runtime.broker import LoopbackBroker, loopback_broker
from pipeline.sources.simulator import Plant, simulate

#: Topic level above the device: ``plant/<device>``.
TOPIC = "plant"
#: Seconds between two looks at the clock and at the allowance.
_POLL_S = 0.02
#: Steps published at most between two looks, so that a stall ends without a burst.
_MAX_BURST = 8.0


class Allowance:
    """How far the parent lets the plant run.

    Attributes:
        step: First step that must wait.
        ended: Set when the parent wants no more.
    """

    def __init__(self) -> None:
        self.step = 0
        self.ended = asyncio.Event()

    async def follow(self, lines: asyncio.StreamReader) -> None:
        """Read step numbers until the lines end; anything else ends the plant as well."""
        with suppress(ValueError):
            async for line in lines:
                self.step = int(line)
        self.ended.set()


async def publish_plant(plant: Plant, broker: LoopbackBroker, allowance: Allowance, steps_per_s: float) -> None:
    """Publish step after step, evenly paced, never beyond the allowance.

    Args:
        plant: What to publish.
        broker: Where to; the plant waits for the first subscriber.
        allowance: How far; its end stops the plant.
        steps_per_s: Pace, steps per second; time lost in a stall is not caught up.
    """
    clock = asyncio.get_running_loop().time
    step, due, looked_s = 0, 0.0, clock()
    while step < plant.n and not allowance.ended.is_set():
        await asyncio.sleep(_POLL_S)
        now_s = clock()
        due = min(due + (now_s - looked_s) * steps_per_s, _MAX_BURST) if broker.has_subscriber() else 0.0
        looked_s = now_s
        n_now = max(0, min(int(due), allowance.step - step, plant.n - step))
        for _ in range(n_now):
            await _publish_step(plant, broker, step)
            step, due = step + 1, due - 1
        if n_now:
            report(step=step)


async def _publish_step(plant: Plant, broker: LoopbackBroker, step: int) -> None:
    for device, payload in plant.messages(step):
        await broker.publish(f"{TOPIC}/{device}", payload)


def report(**fields: int) -> None:
    """Write one JSON line to stdout, unbuffered, for the parent."""
    os.write(sys.stdout.fileno(), json.dumps(fields).encode() + b"\n")


async def run_plant(seed: int, n_steps: int, start_s: int, steps_per_s: float) -> None:
    """Run broker and publisher until the parent closes stdin."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    allowance = Allowance()
    following = asyncio.create_task(allowance.follow(lines), name="allowance")
    plant = simulate(seed, n_steps, start_s)
    async with loopback_broker() as broker:
        report(port=broker.port)
        await publish_plant(plant, broker, allowance, steps_per_s)
        await following  # the last messages are still on their way


def main() -> None:
    """Run as ``python -m pipeline.runtime.plant SEED STEPS START_S STEPS_PER_S``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group; the parent decides
    seed, n_steps, start_s, steps_per_s = sys.argv[1:]
    with suppress(BrokenPipeError):  # the parent died
        asyncio.run(run_plant(int(seed), int(n_steps), int(start_s), float(steps_per_s)))


if __name__ == "__main__":
    main()
