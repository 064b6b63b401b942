"""Figures: counters, gauges and histograms of this process, which add up over all processes.

    VISITS = Counter("shop_visits_total", "Visits, by page", labels=["page"])
    VISITS.labels("basket").inc()

A process tells its figures with its heartbeat (`worker/heartbeat.py`), and `metrics.py` shows the sum of all processes.
Any thread may count: no count is lost. A public door: other apps declare their own figures.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar

Labels = tuple[str, ...]
#: A number; of a histogram the number of values in each bucket, then their sum.
Value = float | list[float]
#: Values by family and labels.
Values = dict[tuple[str, Labels], Value]

#: Every family of this process, by name.
families: dict[str, Family[Any]] = {}
#: What counts a label set beyond a family's bound.
OTHER = "other"
#: Bounds for times from a millisecond to ten minutes, in seconds.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0)


class CounterCell:
    """A number that only grows."""

    __slots__ = ("_lock", "value")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.value: float = 0

    def inc(self, by: float = 1) -> None:
        """Count one, or so many."""
        with self._lock:
            self.value += by

    def reset(self) -> None:
        """Begin at zero, in the child of a fork: another thread of the parent may have held the lock."""
        self.__init__()  # type: ignore[misc]


class GaugeCell:
    """A number that rises and falls. Until it is set for the first time this process says nothing of it."""

    __slots__ = ("_lock", "is_set", "value")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.value: float = 0
        self.is_set = False

    def set(self, value: float) -> None:
        """Set it."""
        with self._lock:
            self.value, self.is_set = value, True

    def inc(self, by: float = 1) -> None:
        """Raise it."""
        with self._lock:
            self.value += by
            self.is_set = True

    def dec(self, by: float = 1) -> None:
        """Lower it."""
        self.inc(-by)

    def clear(self) -> None:
        """This process says nothing of it any more."""
        with self._lock:
            self.value, self.is_set = 0, False

    def reset(self) -> None:
        """Begin anew, in the child of a fork."""
        self.__init__()  # type: ignore[misc]


class HistogramCell:
    """How many values fell between each two bounds, and their sum."""

    __slots__ = ("_bounds", "_counts", "_lock", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._lock = threading.Lock()
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    @property
    def value(self) -> Value:
        """The number of values of each bucket, then their sum."""
        with self._lock:
            return [*self._counts, self._sum] if any(self._counts) else 0

    def observe(self, *values: float) -> None:
        """Count values."""
        places = [bisect_left(self._bounds, value) for value in values]
        with self._lock:
            for place in places:
                self._counts[place] += 1
            self._sum += sum(values)

    def reset(self) -> None:
        """Begin at zero, in the child of a fork."""
        self.__init__(self._bounds)  # type: ignore[misc]


Cell = TypeVar("Cell", CounterCell, GaugeCell, HistogramCell)


class Family(Generic[Cell]):
    """The figures of one name, one for each label set. Wrong use raises ValueError.

    name: with its unit, by the rules of Prometheus. labels: the names of the labels, which must be bounded: no ids, no
    addresses; beyond MOST label sets everything counts as "other". known: the label sets that are shown before anything
    counts. read: gives the value of all known label sets whenever it is asked for, instead of cells; None: there is
    none.
    """

    MOST = 1_000
    kind: ClassVar[str]

    def __init__(
        self,
        name: str,
        documentation: str,
        *,
        labels: Sequence[str] = (),
        known: Callable[[], Iterable[Labels]] | None = None,
        read: Callable[[], float | None] | None = None,
    ) -> None:
        if name in families:
            raise ValueError(f"{name} exists already: choose another name")
        if name.endswith("_total") != (self.kind == "counter"):
            raise ValueError(f"{name}: the names of counters end in _total, and no others do")
        self.name, self.documentation, self.label_names = name, documentation, tuple(labels)
        self.read = read
        self._known = known
        self._cells: dict[Labels, Cell] = {}
        self._lock = threading.Lock()
        families[name] = self

    def labels(self, *values: str, **named: str) -> Cell:
        """The figure with these values of the labels, in their order or by name."""
        key = values or tuple(named[name] for name in self.label_names)
        cell = self._cells.get(key)
        return cell if cell is not None else self._add(key)

    def known(self) -> list[Labels]:
        """The label sets to show, whether anything was counted or not."""
        declared: list[Labels] = [] if self.label_names else [()]
        if self._known:
            declared.extend(self._known())
        return list(dict.fromkeys([*declared, *self._cells]))

    def values(self) -> Values:
        """What this process has to say: no zeros of counters."""
        if self.read is not None:
            read = self.read()
            return {} if read is None else {(self.name, labels): read for labels in self.known()}
        return {(self.name, labels): cell.value for labels, cell in list(self._cells.items()) if self._says(cell)}

    def reset(self) -> None:
        """Begin at zero, in the child of a fork: the parent's counts are not its own."""
        self._lock = threading.Lock()
        for cell in self._cells.values():
            cell.reset()

    def _add(self, key: Labels) -> Cell:
        if len(key) != len(self.label_names):
            raise ValueError(f"{self.name} has the labels {', '.join(self.label_names) or 'none'}; it got {key}")
        with self._lock:
            if key not in self._cells and len(self._cells) >= self.MOST:
                key = (OTHER,) * len(key)
            return self._cells.setdefault(key, self._cell())

    def _cell(self) -> Cell:
        raise NotImplementedError

    def _says(self, cell: Cell) -> bool:
        return bool(cell.value)


class Counter(Family[CounterCell]):
    """How often something happened. The counts of processes that have ended stay in the sum."""

    kind = "counter"

    def inc(self, by: float = 1) -> None:
        """Count one, or so many; for a counter without labels."""
        self.labels().inc(by)

    def _cell(self) -> CounterCell:
        return CounterCell()


class Gauge(Family[GaugeCell]):
    """How much there is of something now, in the processes that are alive.

    across: what the processes' values make together: their sum, the smallest or the largest one. otherwise: the value
    while no process says anything.
    """

    kind = "gauge"

    def __init__(
        self,
        name: str,
        documentation: str,
        *,
        across: Literal["sum", "min", "max"] = "sum",
        otherwise: float = 0,
        **options: Any,
    ) -> None:
        super().__init__(name, documentation, **options)
        self.across, self.otherwise = across, otherwise

    def set(self, value: float) -> None:
        """Set it; for a gauge without labels."""
        self.labels().set(value)

    def inc(self, by: float = 1) -> None:
        """Raise it; for a gauge without labels."""
        self.labels().inc(by)

    def dec(self, by: float = 1) -> None:
        """Lower it; for a gauge without labels."""
        self.labels().dec(by)

    def clear(self) -> None:
        """This process says nothing of it any more; for a gauge without labels."""
        self.labels().clear()

    def _cell(self) -> GaugeCell:
        return GaugeCell()

    def _says(self, cell: GaugeCell) -> bool:
        return cell.is_set


class Histogram(Family[HistogramCell]):
    """How many values fell below each of some bounds, and their sum. Like a counter it never falls."""

    kind = "histogram"

    def __init__(self, name: str, documentation: str, *, bounds: Sequence[float] = SECONDS, **options: Any) -> None:
        self.bounds = tuple(bounds)
        super().__init__(name, documentation, **options)

    def observe(self, *values: float) -> None:
        """Count values; for a histogram without labels."""
        self.labels().observe(*values)

    def _cell(self) -> HistogramCell:
        return HistogramCell(self.bounds)


def counted() -> Values:
    """All counters and histograms of this process, without zeros."""
    return _values("counter") | _values("histogram")


def gauged() -> Values:
    """All gauges of this process."""
    return _values("gauge")


def plus(one: Values, other: Values, *, sign: int = 1) -> Values:
    """The sums of both. Of histograms whose bounds differ, from another version of the code, the other one counts."""
    result = dict(one)
    for key, value in other.items():
        before = result.get(key, 0)
        if isinstance(value, list):
            same = isinstance(before, list) and len(before) == len(value)
            pairs = zip(before if same else [0] * len(value), value, strict=True)  # type: ignore[arg-type]
            result[key] = [old + sign * new for old, new in pairs]
        else:
            result[key] = (0 if isinstance(before, list) else before) + sign * value
    return result


def to_json(values: Values) -> dict[str, list[list[Any]]]:
    """Values in a form that JSON has: by family, each a list of its labels and the value."""
    result: dict[str, list[list[Any]]] = {}
    for (name, labels), value in values.items():
        result.setdefault(name, []).append([*labels, value])
    return result


def from_json(told: Mapping[str, list[list[Any]]]) -> Values:
    """Values out of that form."""
    return {(name, tuple(labels)): value for name, rows in told.items() for *labels, value in rows}


def _values(kind: str) -> Values:
    result: Values = {}
    for family in list(families.values()):
        if family.kind == kind:
            result |= family.values()
    return result


def _begin_anew() -> None:
    for family in families.values():
        family.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
