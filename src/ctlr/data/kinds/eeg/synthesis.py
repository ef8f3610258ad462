"""Synthetic electroencephalograms: what an electrode would see of sources on a sphere, in microvolts.

Background activity falls with frequency as a power law; alpha stands at the back of the head while the eyes are closed;
blinks at the front while they are open; muscle at the temples, mains everywhere. Seizures evolve: spikes and waves of
3 Hz that slow down, largest in the middle of the front, or theta that begins over one temple, slows down, grows and
spreads. Frequencies and amplitudes are those of textbooks (Niedermeyer's Electroencephalography).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ctlr.specs import ELECTRODES

__all__ = ["MAINS", "RATE", "SEIZURES", "Patient", "Seen", "directions", "draw_patient", "record"]

RATE = 250
"""Samples a second."""
SEIZURES = ("spike-wave", "theta")
"""Kinds of seizures; a patient has one."""
MAINS = (50, 60)
"""Hz, by where somebody lives."""

Signals = NDArray[np.float64]

# Angle from the vertex, and from the right ear to the nose (degrees), of electrodes on a sphere.
_ANGLES = {
    "Fp1": (90, 108), "Fp2": (90, 72), "F7": (90, 144), "F3": (64, 129), "Fz": (45, 90), "F4": (64, 51), "F8": (90, 36),
    "T7": (90, 180), "C3": (45, 180), "Cz": (0, 0), "C4": (45, 0), "T8": (90, 0), "P7": (90, 216), "P3": (64, 231),
    "Pz": (45, 270), "P4": (64, 309), "P8": (90, 324), "O1": (90, 252), "O2": (90, 288),
}  # fmt: skip
_BACK, _FRONT, _EYES = (80, 270), (35, 90), (110, 90)
_TEMPLES = {"left": (95, 175), "right": (95, 5)}


@dataclass(frozen=True, kw_only=True)
class Patient:
    """Who is recorded."""

    index: int
    age: float
    """Years; alpha slows down with it, and the power law flattens."""
    slope: float
    """Of the background's power: f^-slope."""
    background: float
    """Standard deviation at an electrode, uV."""
    alpha_hz: float
    alpha: float
    """Standard deviation at the back of the head with closed eyes, uV."""
    blinks: float
    """A minute, with open eyes."""
    blink: float
    """Height below the eyes, uV."""
    muscle: float
    """Standard deviation at a temple, uV."""
    mains_hz: int
    mains: float
    """Mean amplitude, uV."""
    seizure: str
    side: str
    """Where theta begins."""
    discharge: float
    """Amplitude of the seizures, uV."""

    @property
    def id(self) -> str:
        """`sub-` and the index from 1, at least four digits."""
        return f"sub-{self.index + 1:04d}"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A part of a recording and its label."""

    onset: int
    """Seconds."""
    seconds: int
    text: str


def draw_patient(seed: int, index: int) -> Patient:
    """Draw who patient `index` is, which depends on the two numbers alone."""
    rng = _generator(seed, index, stream=0)
    age = round(rng.uniform(20, 80), 1)
    years = (age - 50) / 30
    return Patient(
        index=index, age=age, slope=1.5 - 0.2 * years + 0.1 * rng.standard_normal(),
        background=rng.uniform(8, 14), alpha_hz=10.0 - 0.8 * years + 0.4 * rng.standard_normal(),
        alpha=rng.uniform(10, 25), blinks=rng.uniform(10, 25), blink=rng.uniform(80, 160), muscle=rng.uniform(3, 12),
        mains_hz=int(rng.choice(MAINS)), mains=rng.uniform(0.5, 4), seizure=str(rng.choice(SEIZURES)),
        side=str(rng.choice(list(_TEMPLES))), discharge=rng.uniform(60, 140),
    )  # fmt: skip


def _generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """Random numbers of one patient: stream 0 says who it is, stream 1 what was recorded."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, stream)))


def record(patient: Patient, seed: int, seconds: int) -> tuple[Signals, tuple[Seen, ...]]:
    """Record a patient, half of the time with closed eyes.

    Args:
        patient: Who.
        seed: Of the cohort.
        seconds: A multiple of 60, 120 at least.

    Returns:
        (19, seconds * RATE) in uV at `ELECTRODES`, and what is seen of eyes and seizures, by onset.
    """
    rng = _generator(seed, patient.index, stream=1)
    eyes = [
        Seen(onset=onset, seconds=30, text=f"eyes {('open', 'closed')[(onset // 30) % 2]}")
        for onset in range(0, seconds, 30)
    ]
    seizures = _seizures(patient, seconds, rng)
    closed = np.repeat([float(each.text == "eyes closed") for each in eyes], 30 * RATE)
    signals = _background(patient, seconds, rng)
    signals += _alpha(patient, closed, rng)
    signals += _blinks(patient, closed, rng)
    signals += _muscle(patient, seconds, rng)
    signals += _mains(patient, seconds, rng)
    for seizure in seizures:
        span = slice(seizure.onset * RATE, (seizure.onset + seizure.seconds) * RATE)
        signals[:, span] += _discharges(patient, seizure.seconds, rng)
    rest = _between(seizures, seconds)
    return signals, tuple(sorted([*eyes, *seizures, *rest], key=lambda seen: (seen.onset, seen.text)))


def _seizures(patient: Patient, seconds: int, rng: np.random.Generator) -> list[Seen]:
    """One in two minutes, of 20 to 40 s, at least 30 s from both ends of them."""
    found = []
    for begin in range(0, seconds - 119, 120):
        lasts = int(rng.integers(20, 41))
        onset = begin + 30 + int(rng.integers(0, 61 - lasts))
        found.append(Seen(onset=onset, seconds=lasts, text=f"{patient.seizure} seizure"))
    return found


def _between(seizures: Sequence[Seen], seconds: int) -> list[Seen]:
    ends = [0, *(seizure.onset + seizure.seconds for seizure in seizures)]
    onsets = [*(seizure.onset for seizure in seizures), seconds]
    return [
        Seen(onset=end, seconds=onset - end, text="background")
        for end, onset in zip(ends, onsets, strict=True)
        if onset > end
    ]


# ---------------------------------------------------------------- where


def directions() -> Signals:
    """(19, 3) unit vectors to the electrodes: right, front, up."""
    return np.array([_direction(_ANGLES[name]) for name in ELECTRODES])


def _direction(angles: tuple[float, float]) -> Signals:
    down, around = np.radians(angles)
    return np.array([np.sin(down) * np.cos(around), np.sin(down) * np.sin(around), np.cos(down)])


def _seen_from(place: tuple[float, float], spread: float) -> Signals:
    """(19, 1) share of a source below a place that each electrode sees; `spread` is wide at 1, narrow at 0.1."""
    return np.exp((directions() @ _direction(place) - 1) / spread)[:, None]


# ---------------------------------------------------------------- what


def _background(patient: Patient, seconds: int, rng: np.random.Generator) -> Signals:
    """Power-law noise; neighbours are alike."""
    alike = np.linalg.cholesky(np.exp((directions() @ directions().T - 1) / 0.4) + 1e-9 * np.eye(len(ELECTRODES)))
    return patient.background * (alike @ _coloured(len(ELECTRODES), seconds * RATE, -patient.slope / 2, rng))


def _coloured(count: int, samples: int, power: float, rng: np.random.Generator) -> Signals:
    """(count, samples) noise of standard deviation 1 whose amplitude goes with f^power from 0.5 Hz on, flat below."""
    hz = scipy.fft.rfftfreq(samples, 1 / RATE)
    return _shaped(count, samples, np.maximum(hz, 0.5) ** power * (hz > 0), rng)


def _shaped(count: int, samples: int, amplitudes: Signals, rng: np.random.Generator) -> Signals:
    spectrum = rng.standard_normal((count, 2, len(amplitudes)))
    noise = scipy.fft.irfft((spectrum[:, 0] + 1j * spectrum[:, 1]) * amplitudes, n=samples, axis=1)
    return np.asarray(noise * samples / np.sqrt(4 * np.square(amplitudes).sum()))


def _alpha(patient: Patient, closed: Signals, rng: np.random.Generator) -> Signals:
    """A band of 1 Hz that waxes and wanes by itself; a fifth is left with open eyes."""
    hz = scipy.fft.rfftfreq(len(closed), 1 / RATE)
    wave = _shaped(1, len(closed), np.exp(-0.5 * ((hz - patient.alpha_hz) / 0.5) ** 2), rng)
    return np.asarray(_seen_from(_BACK, 0.35) * patient.alpha * wave * (0.2 + 0.8 * closed))


def _blinks(patient: Patient, closed: Signals, rng: np.random.Generator) -> Signals:
    """Positive waves of 0.3 s while the eyes are open."""
    train = np.zeros(len(closed))
    number = rng.poisson(patient.blinks * len(closed) / RATE / 60)
    onsets = np.sort(rng.integers(0, len(closed), number))
    train[onsets] = rng.uniform(0.7, 1.3, number)
    train *= closed == 0
    wave = np.hanning(round(0.3 * RATE))
    seen = _seen_from(_EYES, 0.15)
    return np.asarray(seen / seen.max() * patient.blink * np.convolve(train, wave)[: len(closed)])


def _muscle(patient: Patient, seconds: int, rng: np.random.Generator) -> Signals:
    """Bursts of 0.5 to 3 s, 20 to 100 Hz, at either temple."""
    samples = seconds * RATE
    hz = scipy.fft.rfftfreq(samples, 1 / RATE)
    band = ((hz > 20) & (hz < 100)).astype(float)
    found = np.zeros((len(ELECTRODES), samples))
    for place in _TEMPLES.values():
        on = np.zeros(samples)
        for begin in rng.integers(0, samples, rng.poisson(3 * seconds / 60)):
            length = round(rng.uniform(0.5, 3) * RATE)
            part = on[begin : begin + length]
            part[:] = np.maximum(part, np.hanning(length)[: len(part)])
        found += _seen_from(place, 0.15) * patient.muscle * _shaped(1, samples, band, rng) * on
    return found


def _mains(patient: Patient, seconds: int, rng: np.random.Generator) -> Signals:
    """A sine, stronger where an electrode has bad contact."""
    time = np.arange(seconds * RATE) / RATE
    amplitudes = patient.mains * rng.uniform(0.5, 1.5, (len(ELECTRODES), 1))
    return np.asarray(amplitudes * np.sin(2 * np.pi * patient.mains_hz * time + rng.uniform(0, 2 * np.pi)))


def _discharges(patient: Patient, seconds: int, rng: np.random.Generator) -> Signals:
    """A seizure from its first to its last second."""
    done = np.arange(seconds * RATE) / (seconds * RATE)
    if patient.seizure == "spike-wave":
        cycles = np.cumsum(3.3 - 0.6 * done) / RATE
        grown = np.minimum(1, np.minimum(done, 1 - done) * seconds)
        return np.asarray(_seen_from(_FRONT, 0.8) * patient.discharge * grown * _spike_and_wave(cycles % 1))
    cycles = np.cumsum(7.5 - 3.5 * done) / RATE + rng.uniform()
    wave = np.sin(2 * np.pi * cycles) + 0.25 * np.sin(4 * np.pi * cycles)  # sharper than a sine
    near, far = _seen_from(_TEMPLES[patient.side], 0.2), _seen_from(_TEMPLES[patient.side], 0.7)
    where = near * (1 - done) + far * done
    grown = 0.7 * (0.3 + 0.7 * done) * np.minimum(1, (1 - done) * seconds)
    return np.asarray(where * patient.discharge * grown * wave)


def _spike_and_wave(phase: Signals) -> Signals:
    """A negative spike of 60 ms and a slow negative wave; phase from 0 to 1 in a cycle, mean near 0."""
    spike = np.exp(-0.5 * ((phase - 0.12) / 0.035) ** 2)
    wave = np.where(phase > 0.3, np.sin(np.pi * (phase - 0.3) / 0.7), 0.0)
    return np.asarray(-(spike + 0.8 * wave) + 0.43)
