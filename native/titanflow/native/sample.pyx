"""How did equity move from day to day? Moments of daily returns, and a bounded curve.

One call per session day takes the equity of all contenders. The moments are exact for the whole
session whatever its length; the curve keeps at most `capacity` points, and when it is full every
second one goes and the stride doubles. Floats here describe, they never settle anything.

It sits under stage 7, score.
"""

cdef extern from *:
    """
    #ifndef TITANFLOW_SOURCE_SHA256
    #define TITANFLOW_SOURCE_SHA256 ""
    #endif
    """
    const char* TITANFLOW_SOURCE_SHA256

from hashlib import blake2b

import numpy as np

from libc.stdint cimport int64_t

SOURCE_SHA256 = TITANFLOW_SOURCE_SHA256.decode()

COLUMNS = (
    "mean", "m2", "downside2", "low", "high", "drawdown", "peak", "equity_sum", "exposure_sum", "ruined"
)
"""Columns of `Sampler.moments`."""

cdef enum:
    MEAN = 0
    M2 = 1
    DOWNSIDE2 = 2
    LOW = 3
    HIGH = 4
    DRAWDOWN = 5
    PEAK = 6
    EQUITY_SUM = 7
    EXPOSURE_SUM = 8
    RUINED = 9
    WIDTH = 10


cdef class Sampler:
    """Daily equity of all contenders, from their starting capital on.

    *capacity* is even, so that thinning keeps the first point and a regular stride.
    """

    cdef readonly int contenders
    cdef readonly long long count
    cdef readonly long long stride
    cdef readonly int kept
    cdef int _capacity
    cdef long long _day
    cdef int64_t[::1] _last
    cdef int64_t[::1] _days
    cdef int64_t[:, ::1] _curve
    cdef double[:, ::1] _moments

    def __init__(self, capital, int capacity):
        cdef int c
        if capacity < 2 or capacity % 2:
            raise ValueError("the capacity is even and at least 2")
        self.contenders, self._capacity, self.stride = len(capital), capacity, 1
        self._last = np.array(capital, dtype=np.int64)
        self._days = np.zeros(capacity, dtype=np.int64)
        self._curve = np.zeros((self.contenders, capacity), dtype=np.int64)
        self._moments = np.zeros((self.contenders, WIDTH))
        for c in range(self.contenders):
            self._moments[c, PEAK] = <double>self._last[c]
            self._moments[c, RUINED] = self._last[c] <= 0

    def add(self, long long day, int64_t[::1] equity, int64_t[::1] gross):
        """Take the equity and the gross exposure of all contenders at the end of *day*."""
        cdef int c
        if equity.shape[0] != self.contenders or gross.shape[0] != self.contenders:
            raise ValueError("a sample has one value for each contender")
        if self.count and day <= self._day:
            raise ValueError(f"day {day} does not follow day {self._day}")
        if self.count == 0:
            self._keep(day - 1)
        self.count += 1
        self._day = day
        for c in range(self.contenders):
            self._learn(c, equity[c], gross[c])
            self._last[c] = equity[c]
        if self.count % self.stride == 0:
            if self.kept == self._capacity:
                self._thin()
            if self.count % self.stride == 0:
                self._keep(day)

    def moments(self):
        """Return the moments, contenders × COLUMNS, as a new array."""
        return np.array(self._moments)

    def curves(self):
        """Return the days (n,) and the equity (contenders, n) of the kept samples and the last."""
        days, curve = np.array(self._days[: self.kept]), np.array(self._curve[:, : self.kept])
        if self.count % self.stride:
            days = np.append(days, self._day)
            curve = np.concatenate([curve, np.array(self._last).reshape(-1, 1)], axis=1)
        return days, curve

    def dump(self):
        """Return the state as little-endian numbers."""
        head = [1, self.contenders, self._capacity, self.count, self.stride, self.kept, self._day]
        return b"".join(
            np.ascontiguousarray(part, dtype=kind).tobytes()
            for part, kind in (
                (head, "<i8"),
                (self._last, "<i8"),
                (self._moments, "<f8"),
                (self._days[: self.kept], "<i8"),
                (self._curve[:, : self.kept], "<i8"),
            )
        )

    def digest(self):
        """Return a hash of the state."""
        return blake2b(self.dump(), digest_size=32).digest()

    def load(self, bytes snapshot):
        """Take over a state from `dump`.

        Raises: ValueError if it belongs to other contenders or another capacity.
        """
        cdef int m = self.contenders, kept
        if len(snapshot) < 56:
            raise ValueError("the snapshot is cut")
        head = np.frombuffer(snapshot[:56], dtype="<i8").tolist()
        kept = head[5]
        if head[:3] != [1, m, self._capacity] or len(snapshot) != 8 * (
            7 + m * (1 + WIDTH) + kept * (1 + m)
        ):
            raise ValueError("the snapshot belongs to another sampler")
        self.count, self.stride, self.kept, self._day = head[3], head[4], kept, head[6]
        words = np.frombuffer(snapshot[56:], dtype="<i8").astype(np.int64)
        self._last = words[:m].copy()
        floats = np.frombuffer(snapshot[56 + 8 * m : 56 + 8 * m * (1 + WIDTH)], dtype="<f8")
        self._moments = floats.astype(np.float64).reshape(m, WIDTH)
        words = words[m * (1 + WIDTH) :]
        np.asarray(self._days)[:kept] = words[:kept]
        np.asarray(self._curve)[:, :kept] = words[kept:].reshape(m, kept)

    cdef void _learn(self, int c, int64_t equity, int64_t gross) noexcept:
        cdef double[:, ::1] m = self._moments
        cdef double now = <double>equity, change, delta, fall
        cdef double n = <double>self.count
        m[c, EQUITY_SUM] += now
        if now > m[c, PEAK]:
            m[c, PEAK] = now
        if m[c, PEAK] > 0:
            fall = now / m[c, PEAK] - 1.0
            if fall < m[c, DRAWDOWN]:
                m[c, DRAWDOWN] = fall
        # A return on nothing, or on less, is no number: from here on there are no more moments.
        if m[c, RUINED] or self._last[c] <= 0:
            m[c, RUINED] = 1.0
            return
        if equity <= 0:
            m[c, RUINED] = 1.0
        else:
            m[c, EXPOSURE_SUM] += <double>gross / now
        change = now / <double>self._last[c] - 1.0
        delta = change - m[c, MEAN]
        m[c, MEAN] += delta / n
        m[c, M2] += delta * (change - m[c, MEAN])
        if change < 0:
            m[c, DOWNSIDE2] += change * change
        if self.count == 1 or change < m[c, LOW]:
            m[c, LOW] = change
        if self.count == 1 or change > m[c, HIGH]:
            m[c, HIGH] = change

    cdef void _keep(self, long long day) noexcept:
        cdef int c
        self._days[self.kept] = day
        for c in range(self.contenders):
            self._curve[c, self.kept] = self._last[c]
        self.kept += 1

    cdef void _thin(self) noexcept:
        cdef int c, k
        self.kept //= 2
        self.stride *= 2
        for k in range(self.kept):
            self._days[k] = self._days[2 * k]
            for c in range(self.contenders):
                self._curve[c, k] = self._curve[c, 2 * k]
