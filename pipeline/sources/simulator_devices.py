"""The devices of the simulated plant and what each of their sensors would show in good health.

Comes in: a seed and a number of steps. Goes out: one column of values per stream. Devices share the
weather and their own machinery, so their sensors move together as in a real plant. This module knows
no fault and no message.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64
from pipeline.sources.simulator_signals import (
    counter,
    daily,
    duty,
    gaussian,
    generator,
    heavy_tailed,
    quantised,
    smoothed,
    thermostat,
    wandering,
)


@dataclass(frozen=True, slots=True)
class Sensor:
    """How a sensor shows and sends its value.

    Attributes:
        resolution: Smallest difference it shows, in its unit.
        deadband: Change that makes it send, in its unit; 0 sends with every message of its device.
    """

    resolution: float
    deadband: float = 0.0


#: Every stream of the plant, grouped by device: ``<device>/<sensor>``.
SENSORS = {
    "weather/outside_temperature": Sensor(0.1),
    "weather/wind_m_s": Sensor(0.1),
    "boiler/flow_temperature": Sensor(0.1),
    "boiler/return_temperature": Sensor(0.1),
    "boiler/pressure_bar": Sensor(0.005),
    "boiler/burner": Sensor(1, deadband=1),
    "boiler/gas_m3": Sensor(0.01),
    "chiller/supply_temperature": Sensor(0.01),
    "chiller/compressor_current": Sensor(0.1),
    "chiller/condenser_bar": Sensor(0.01),
    "chiller/energy_kwh": Sensor(0.1),
    "pump-1/speed_rpm": Sensor(1),
    "pump-1/flow_m3h": Sensor(0.1),
    "pump-1/motor_current": Sensor(0.01),
    "pump-1/bearing_temperature": Sensor(0.1),
    "pump-1/vibration_mm_s": Sensor(0.01),
    "tank/level_percent": Sensor(0.1, deadband=1.5),
    "tank/inflow_l_min": Sensor(0.5),
    "tank/water_litres": Sensor(1),
    "tank/temperature": Sensor(0.1),
    "cold-store/air_temperature": Sensor(0.1),
    "cold-store/evaporator_temperature": Sensor(0.1),
    "cold-store/compressor_kw": Sensor(0.01),
    "cold-store/humidity": Sensor(1, deadband=1),
    "compressor/motor_current": Sensor(0.1),
    "compressor/network_bar": Sensor(0.01),
    "compressor/oil_temperature": Sensor(0.1),
    "compressor/air_m3": Sensor(0.1),
    "meter/voltage": Sensor(0.1),
    "meter/frequency_hz": Sensor(0.001),
    "meter/power_kw": Sensor(0.1),
    "meter/energy_kwh": Sensor(0.1),
}

#: Steps between two messages of a device; 1 unless named here.
EVERY = {"weather": 2}


@dataclass(frozen=True, slots=True)
class Site:
    """What all devices share: length, seed and weather.

    Attributes:
        seed: Seed of every random number.
        n: Steps.
        outside: Outside temperature, degrees Celsius, shape (T,).
    """

    seed: int
    n: int
    outside: F64

    def rng(self, name: str) -> np.random.Generator:
        """Return the random numbers of one signal."""
        return generator(self.seed, name)


def healthy_plant(seed: int, n: int) -> dict[str, F64]:
    """Simulate the plant without any fault.

    Args:
        seed: Seed of every random number.
        n: Steps, from midnight.

    Returns:
        Values by stream in the order of ``SENSORS``, sensor's unit and resolution, each shape (T,).
    """
    outside = 11 + 6 * daily(n, 15) + wandering(generator(seed, "weather"), n, 0.995, 1.2)
    site = Site(seed, n, outside)
    shown = {
        f"{device}/{sensor}": values
        for device, simulate in DEVICES.items()
        for sensor, values in simulate(site).items()
    }
    return {name: quantised(shown[name], sensor.resolution) for name, sensor in SENSORS.items()}


def _weather(site: Site) -> dict[str, F64]:
    gusts = wandering(site.rng("wind"), site.n, 0.9, 0.35)
    return {
        "outside_temperature": site.outside + gaussian(site.rng("outside"), site.n, 0.12),
        "wind_m_s": (3.2 + 0.8 * daily(site.n, 14)) * np.exp(gusts),
    }


def _boiler(site: Site) -> dict[str, F64]:
    demand = np.clip((19 - site.outside) / 16, 0.05, 1.2)
    water, burner = thermostat(rise=2.6 - 0.9 * demand, fall=0.5 + 0.9 * demand, low=56, high=66)
    expansion = 0.003 * (smoothed(water, 0.2) - 60)
    return {
        "flow_temperature": water + gaussian(site.rng("flow"), site.n, 0.3),
        "return_temperature": smoothed(water, 0.4) - 9 - 4 * demand + gaussian(site.rng("return"), site.n, 0.25),
        "pressure_bar": 1.62 + expansion + wandering(site.rng("pressure"), site.n, 0.97, 0.012),
        "burner": burner,
        "gas_m3": counter(18_230, burner * (0.85 + gaussian(site.rng("gas"), site.n, 0.02))),
    }


def _chiller(site: Site) -> dict[str, F64]:
    runs = duty(site.rng("chiller"), site.n, on=5, off=4, jitter=0.5)
    current = 1.8 + runs * (36 + 0.5 * (site.outside - 11)) + gaussian(site.rng("current"), site.n, 0.5)
    supply = 6.8 - 0.5 * smoothed(runs, 0.4) + 0.25 * daily(site.n, 16)
    condenser = 10.5 + 0.12 * (site.outside - 11) + 1.4 * smoothed(runs, 0.6)
    return {
        "supply_temperature": supply + wandering(site.rng("supply"), site.n, 0.6, 0.08),
        "compressor_current": current,
        "condenser_bar": condenser + wandering(site.rng("condenser"), site.n, 0.7, 0.1),
        "energy_kwh": counter(40_512, current * 0.05),
    }


def _pump(site: Site) -> dict[str, F64]:
    load = 0.66 + 0.17 * daily(site.n, 13) + wandering(site.rng("load"), site.n, 0.9, 0.025)
    vibration = (1.3 + 0.9 * load) * np.exp(gaussian(site.rng("vibration"), site.n, 0.07))
    bearing = smoothed(36 + 14 * load + 0.3 * (site.outside - 11), 0.1)
    return {
        "speed_rpm": 870 + 580 * load + gaussian(site.rng("speed"), site.n, 4),
        "flow_m3h": 44 * load + gaussian(site.rng("m3h"), site.n, 0.5),
        "motor_current": 8 + 15 * load**2 + heavy_tailed(site.rng("motor"), site.n, 0.18),
        "bearing_temperature": bearing + gaussian(site.rng("bearing"), site.n, 0.25),
        "vibration_mm_s": vibration + np.abs(heavy_tailed(site.rng("knock"), site.n, 0.06)),
    }


def _tank(site: Site) -> dict[str, F64]:
    use = 2.2 + 0.8 * daily(site.n, 11) + wandering(site.rng("use"), site.n, 0.8, 0.15)
    level, valve = thermostat(rise=6.5 - use, fall=use, low=35, high=85)
    inflow = valve * (118 + gaussian(site.rng("inflow"), site.n, 2.0))
    return {
        "level_percent": level + gaussian(site.rng("level"), site.n, 0.15),
        "inflow_l_min": inflow,
        "water_litres": counter(903_100, inflow * 5),
        "temperature": 14.5 + 0.8 * daily(site.n, 17) + wandering(site.rng("tank"), site.n, 0.98, 0.3),
    }


def _cold_store(site: Site) -> dict[str, F64]:
    gain = 0.30 + 0.006 * (site.outside - 11) + wandering(site.rng("gain"), site.n, 0.7, 0.02)
    air, runs = thermostat(rise=gain, fall=0.62 - gain, low=-22, high=-19)
    cools = 1 - runs  # the thermostat rises by itself and is cooled between its limits
    return {
        "air_temperature": air + gaussian(site.rng("air"), site.n, 0.1),
        "evaporator_temperature": air - 1 - 7 * smoothed(cools, 0.7) + gaussian(site.rng("evaporator"), site.n, 0.2),
        "compressor_kw": 0.15 + cools * (3.3 + gaussian(site.rng("kw"), site.n, 0.05)),
        "humidity": 78 - 4 * smoothed(cools, 0.3) + wandering(site.rng("humidity"), site.n, 0.9, 1.5),
    }


def _compressor(site: Site) -> dict[str, F64]:
    loaded = duty(site.rng("compressor"), site.n, on=6, off=4, jitter=0.5)
    swing = 0.5 * (smoothed(loaded, 0.35) - 0.6)
    heat = 70 + 9 * smoothed(loaded, 0.25) + 0.25 * (site.outside - 11)
    return {
        "motor_current": 24 + 38 * loaded + gaussian(site.rng("amps"), site.n, 0.8),
        "network_bar": 7.1 + swing + gaussian(site.rng("bar"), site.n, 0.03),
        "oil_temperature": heat + gaussian(site.rng("oil"), site.n, 0.3),
        "air_m3": counter(77_100, loaded * (41 + gaussian(site.rng("m3"), site.n, 1.0))),
    }


def _meter(site: Site) -> dict[str, F64]:
    shift = 60 + 25 * daily(site.n, 13) + wandering(site.rng("shift"), site.n, 0.85, 3.0)
    power = shift + heavy_tailed(site.rng("switching"), site.n, 1.0)
    grid = wandering(site.rng("grid"), site.n, 0.8, 0.7) + gaussian(site.rng("volts"), site.n, 0.4)
    return {
        "voltage": 231 + 1.5 * daily(site.n, 3) + grid,
        "frequency_hz": 50 + wandering(site.rng("frequency"), site.n, 0.6, 0.015),
        "power_kw": power,
        "energy_kwh": counter(1_204_330, power * (300 / 3600)),
    }


#: Simulations by device, in the order of their messages.
DEVICES: dict[str, Callable[[Site], dict[str, F64]]] = {
    "weather": _weather,
    "boiler": _boiler,
    "chiller": _chiller,
    "pump-1": _pump,
    "tank": _tank,
    "cold-store": _cold_store,
    "compressor": _compressor,
    "meter": _meter,
}
