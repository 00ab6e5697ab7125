"""What do the last n bars say? Rolling kernels: one number per bar, in constant memory.

Each kernel is a C function over one `Window` of state; `push` feeds it one bar, `batch` a whole
array through the same function, so both give the same bits. A kernel answers NaN until it has seen
enough bars. Sums are taken anew over the ring, oldest first, instead of being carried along: the
result depends on the window only, never on how long the tape ran. Formulas and seeds follow TA-Lib
0.6 (https://ta-lib.org/functions/), so that any chart programme shows the same numbers.

It must never see a bar that is not pushed yet, and knows nothing of symbols, splits or time.
"""

cdef extern from *:
    """
    #ifndef TITANFLOW_SOURCE_SHA256
    #define TITANFLOW_SOURCE_SHA256 ""
    #endif
    """
    const char* TITANFLOW_SOURCE_SHA256

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.float cimport PyFloat_FromDouble
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.math cimport NAN, fabs, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from hashlib import blake2b

import numpy as np

SOURCE_SHA256 = TITANFLOW_SOURCE_SHA256.decode()

PERIOD_MAX = 1000
"""Longest window; four years of daily bars, and still one microsecond to sum."""

SOURCES = ("open", "high", "low", "close", "volume")
"""Columns of a bar, in the order in which a panel takes them."""

cdef enum:
    OPEN = 0
    HIGH = 1
    LOW = 2
    CLOSE = 3
    VOLUME = 4

# TA-Lib takes sizes below this as zero before it divides (TA_EPSILON).
cdef double EPSILON = 1e-14


cdef struct Window:
    # The first seven fields are what the kernel is; `load` refuses a snapshot that differs in them.
    int64_t source
    int64_t n
    int64_t m
    int64_t p
    int64_t part
    int64_t slots
    double width
    # The rest is what it has seen.
    int64_t seen
    int64_t head
    double last_high
    double last_low
    double last_close
    double total
    double total_fast
    double average
    double fast
    double slow
    double signal
    double gain
    double loss
    double true_range
    double* ring


ctypedef double (*Step)(Window* w, const double* bar) noexcept nogil

# Every field is 8 bytes wide, so the struct has no padding and equal states have equal bytes.
cdef size_t IDENTITY_BYTES = 7 * 8
cdef size_t HEAD_AT = 8 * 8
cdef size_t FIXED_BYTES = 21 * 8


cdef inline void keep(Window* w, double x) noexcept nogil:
    w.ring[w.head] = x
    w.head += 1
    if w.head == w.slots:
        w.head = 0


cdef inline double oldest(const Window* w, int64_t i) noexcept nogil:
    """Return the value number *i* of a full ring, counted from the oldest."""
    i += w.head
    return w.ring[i if i < w.slots else i - w.slots]


cdef inline double ring_mean(const Window* w) noexcept nogil:
    cdef double total = 0.0
    cdef int64_t i
    for i in range(w.slots):
        total += oldest(w, i)
    return total / w.slots


cdef inline double ring_deviation(const Window* w, double mean) noexcept nogil:
    """Return the population standard deviation of a full ring around its *mean*."""
    cdef double total = 0.0, gap
    cdef int64_t i
    for i in range(w.slots):
        gap = oldest(w, i) - mean
        total += gap * gap
    return sqrt(total / w.slots)


cdef double step_sma(Window* w, const double* bar) noexcept nogil:
    keep(w, bar[w.source])
    w.seen += 1
    return ring_mean(w) if w.seen >= w.n else NAN


cdef double step_stddev(Window* w, const double* bar) noexcept nogil:
    keep(w, bar[w.source])
    w.seen += 1
    return ring_deviation(w, ring_mean(w)) if w.seen >= w.n else NAN


cdef double step_bollinger(Window* w, const double* bar) noexcept nogil:
    cdef double mean
    keep(w, bar[w.source])
    w.seen += 1
    if w.seen < w.n:
        return NAN
    mean = ring_mean(w)
    return mean + w.width * ring_deviation(w, mean)


cdef double step_ema(Window* w, const double* bar) noexcept nogil:
    cdef double x = bar[w.source]
    w.seen += 1
    if w.seen > w.n:
        w.average += (x - w.average) * (2.0 / (w.n + 1))
        return w.average
    w.total += x
    if w.seen < w.n:
        return NAN
    w.average = w.total / w.n
    return w.average


cdef double step_rsi(Window* w, const double* bar) noexcept nogil:
    cdef double x = bar[w.source], change = x - w.last_close, whole
    w.seen += 1
    w.last_close = x
    if w.seen == 1:
        return NAN
    if w.seen > w.n + 1:
        w.gain, w.loss = w.gain * (w.n - 1), w.loss * (w.n - 1)
    if change < 0.0:
        w.loss -= change
    else:
        w.gain += change
    if w.seen <= w.n:
        return NAN
    w.gain, w.loss = w.gain / w.n, w.loss / w.n
    whole = w.gain + w.loss
    return 0.0 if fabs(whole) < EPSILON else 100.0 * (w.gain / whole)


cdef inline double true_range(const Window* w, const double* bar) noexcept nogil:
    cdef double span = bar[HIGH] - bar[LOW]
    cdef double up = fabs(w.last_close - bar[HIGH]), down = fabs(w.last_close - bar[LOW])
    span = up if up > span else span
    return down if down > span else span


cdef double step_atr(Window* w, const double* bar) noexcept nogil:
    cdef double span = true_range(w, bar)
    w.seen += 1
    w.last_close = bar[CLOSE]
    if w.seen == 1:
        return NAN
    if w.seen > w.n + 1:
        w.average = (w.average * (w.n - 1) + span) / w.n
        return w.average
    w.total += span
    if w.seen <= w.n:
        return NAN
    w.average = w.total / w.n
    return w.average


cdef double step_macd(Window* w, const double* bar) noexcept nogil:
    """n fast, m slow, p signal. As in TA-Lib, the fast average starts with the slow one."""
    cdef double x = bar[w.source], line
    w.seen += 1
    if w.seen <= w.m:
        w.total += x
        if w.seen > w.m - w.n:
            w.total_fast += x
        if w.seen < w.m:
            return NAN
        w.slow = w.total / w.m
        w.fast = w.total_fast / w.n
        w.total = 0.0
    else:
        w.fast += (x - w.fast) * (2.0 / (w.n + 1))
        w.slow += (x - w.slow) * (2.0 / (w.m + 1))
    line = w.fast - w.slow
    if w.seen < w.m + w.p:
        w.average += line
        if w.seen < w.m + w.p - 1:
            return NAN
        w.signal = w.average / w.p
    else:
        w.signal += (line - w.signal) * (2.0 / (w.p + 1))
    if w.part == 0:
        return line
    return w.signal if w.part == 1 else line - w.signal


cdef inline double ring_extreme(const Window* w) noexcept nogil:
    """Return the largest (part 1) or smallest (part -1) value of a full ring."""
    cdef double best = w.ring[0]
    cdef int64_t i
    for i in range(1, w.slots):
        if w.part * w.ring[i] > w.part * best:
            best = w.ring[i]
    return best


cdef double step_extreme(Window* w, const double* bar) noexcept nogil:
    """part is the sign; with m = 1 the bar in hand is kept after the answer: it may break out."""
    cdef double edge = NAN
    if w.m == 0:
        keep(w, bar[w.source])
    if w.seen + 1 - w.m >= w.n:
        edge = ring_extreme(w)
    if w.m == 1:
        keep(w, bar[w.source])
    w.seen += 1
    return edge


cdef double step_change(Window* w, const double* bar) noexcept nogil:
    """part 0: difference to n bars before; part 1: the same in percent."""
    cdef double x = bar[w.source], former = w.ring[w.head]
    keep(w, x)
    w.seen += 1
    if w.seen <= w.n:
        return NAN
    if w.part == 0:
        return x - former
    return (x / former - 1.0) * 100.0 if former != 0.0 else 0.0


cdef double step_obv(Window* w, const double* bar) noexcept nogil:
    if w.seen == 0 or bar[CLOSE] > w.last_close:
        w.total += bar[VOLUME]
    elif bar[CLOSE] < w.last_close:
        w.total -= bar[VOLUME]
    w.last_close = bar[CLOSE]
    w.seen += 1
    return w.total


cdef double step_williams(Window* w, const double* bar) noexcept nogil:
    # The first n places of the ring hold highs, the next n lows.
    cdef double high, low
    cdef int64_t i
    w.ring[w.head] = bar[HIGH]
    w.ring[w.n + w.head] = bar[LOW]
    w.head = (w.head + 1) % w.n
    w.seen += 1
    if w.seen < w.n:
        return NAN
    high, low = w.ring[0], w.ring[w.n]
    for i in range(1, w.n):
        if w.ring[i] > high:
            high = w.ring[i]
        if w.ring[w.n + i] < low:
            low = w.ring[w.n + i]
    return -100.0 * (high - bar[CLOSE]) / (high - low) if high != low else 0.0


cdef double step_adx(Window* w, const double* bar) noexcept nogil:
    cdef double up = bar[HIGH] - w.last_high, down = w.last_low - bar[LOW]
    cdef double span = true_range(w, bar), plus, minus, strength = 0.0
    cdef bint strong = False
    w.last_high, w.last_low, w.last_close = bar[HIGH], bar[LOW], bar[CLOSE]
    w.seen += 1
    if w.seen == 1:
        return NAN
    if w.seen > w.n:
        w.gain -= w.gain / w.n
        w.loss -= w.loss / w.n
        w.true_range -= w.true_range / w.n
    w.true_range += span
    if down > 0.0 and up < down:
        w.loss += down
    elif up > 0.0 and up > down:
        w.gain += up
    if w.seen <= w.n:
        return NAN
    if fabs(w.true_range) >= EPSILON:
        plus = 100.0 * (w.gain / w.true_range)
        minus = 100.0 * (w.loss / w.true_range)
        if fabs(plus + minus) >= EPSILON:
            strength = 100.0 * (fabs(minus - plus) / (plus + minus))
            strong = True
    if w.seen <= 2 * w.n:
        w.total += strength
        w.average = w.total / w.n
        return w.average if w.seen == 2 * w.n else NAN
    if strong:
        w.average = (w.average * (w.n - 1) + strength) / w.n
    return w.average


cdef int period(int n, int least=1) except -1:
    if not least <= n <= PERIOD_MAX:
        raise ValueError(f"a period from {least} to {PERIOD_MAX} is needed, got {n}")
    return n


cdef class Kernel:
    """One rolling number: state, and the C function that feeds it."""

    cdef Window w
    cdef Step step
    cdef Py_ssize_t ring_size
    cdef int[3] columns
    cdef readonly int inputs
    """How many values `push` and arrays `batch` take."""
    cdef readonly int lookback
    """Bars until the first answer that is not NaN."""

    def __dealloc__(self):
        free(self.w.ring)

    cdef void read(self, str sources) except *:
        """Name the columns that the kernel takes."""
        names = sources.split()
        self.inputs = len(names)
        for i, name in enumerate(names):
            if name not in SOURCES:
                raise ValueError(f"a source out of {', '.join(SOURCES)} is needed, got {name!r}")
            self.columns[i] = SOURCES.index(name)
        self.w.source = self.columns[0]

    cdef void start(self, Step step, int lookback, Py_ssize_t ring_size=0) except *:
        """Set the function and take the memory: all that the kernel will ever use."""
        self.step, self.lookback, self.ring_size = step, lookback, ring_size
        if ring_size:
            self.w.slots = self.w.n
            self.w.ring = <double*>calloc(ring_size, sizeof(double))
            if self.w.ring is NULL:
                raise MemoryError

    def push(self, *values) -> float:
        """Take one bar's values and return the kernel's answer."""
        cdef double[5] bar
        if len(values) != self.inputs:
            raise TypeError(f"{self.inputs} values are needed, got {len(values)}")
        for i in range(self.inputs):
            bar[self.columns[i]] = values[i]
        return self.step(&self.w, bar)

    def batch(self, *arrays):
        """Take arrays of values, bar by bar, and return the answers."""
        cdef double[5] bar
        cdef Py_ssize_t i, rows
        cdef int j
        if len(arrays) != self.inputs or len({len(array) for array in arrays}) != 1:
            raise TypeError(f"{self.inputs} arrays of equal length are needed, got {len(arrays)}")
        cdef const double[:, ::1] bars = np.ascontiguousarray(np.column_stack(arrays), np.float64)
        rows = bars.shape[0]
        out = np.empty(rows)
        cdef double[::1] to = out
        with nogil:
            for i in range(rows):
                for j in range(self.inputs):
                    bar[self.columns[j]] = bars[i, j]
                to[i] = self.step(&self.w, bar)
        return out

    def dump(self) -> bytes:
        """Return the state as bytes: the fixed fields, then the ring."""
        cdef bytes out = PyBytes_FromStringAndSize(NULL, self.size())
        cdef char* to = PyBytes_AS_STRING(out)
        memcpy(to, &self.w, FIXED_BYTES)
        if self.ring_size:
            memcpy(to + FIXED_BYTES, self.w.ring, self.ring_size * sizeof(double))
        return out

    def load(self, bytes snapshot not None) -> None:
        """Take over the state that `dump` of an equal kernel returned."""
        cdef const char* start = PyBytes_AS_STRING(snapshot)
        cdef int64_t head
        if len(snapshot) != self.size():
            raise ValueError(f"a snapshot of {self.size()} bytes is needed, got {len(snapshot)}")
        if memcmp(start, &self.w, IDENTITY_BYTES) != 0:
            raise ValueError("the snapshot belongs to a kernel with other parameters")
        memcpy(&head, start + HEAD_AT, 8)
        if not 0 <= head < max(self.w.slots, 1):
            raise ValueError(f"the snapshot's ring starts at {head} of {self.w.slots}")
        memcpy(&self.w, start, FIXED_BYTES)
        if self.ring_size:
            memcpy(self.w.ring, start + FIXED_BYTES, self.ring_size * sizeof(double))

    cdef Py_ssize_t size(self):
        return FIXED_BYTES + self.ring_size * sizeof(double)


cdef class Sma(Kernel):
    """Simple moving average of the last n values."""

    def __cinit__(self, int n, str source="close"):
        self.w.n = period(n)
        self.read(source)
        self.start(step_sma, n, n)


cdef class Ema(Kernel):
    """Exponential moving average, seeded with the simple average of the first n values."""

    def __cinit__(self, int n, str source="close"):
        self.w.n = period(n)
        self.read(source)
        self.start(step_ema, n)


cdef class Stddev(Kernel):
    """Population standard deviation of the last n values."""

    def __cinit__(self, int n, str source="close"):
        self.w.n = period(n, 2)
        self.read(source)
        self.start(step_stddev, n, n)


cdef class Bollinger(Kernel):
    """Simple average of the last n values plus *width* (may be negative) standard deviations."""

    def __cinit__(self, int n, double width, str source="close"):
        self.w.n, self.w.width = period(n, 2), width
        self.read(source)
        self.start(step_bollinger, n, n)


cdef class Rsi(Kernel):
    """Relative strength index after Wilder, 0 to 100."""

    def __cinit__(self, int n, str source="close"):
        self.w.n = period(n, 2)
        self.read(source)
        self.start(step_rsi, n + 1)


cdef class Macd(Kernel):
    """Moving average convergence divergence: part 0 line, 1 signal, 2 histogram."""

    def __cinit__(self, int fast, int slow, int signal, int part, str source="close"):
        self.w.n, self.w.m, self.w.p = period(fast, 2), period(slow, 2), period(signal)
        if fast >= slow:
            raise ValueError(f"fast must be below slow, got {fast} and {slow}")
        if part not in (0, 1, 2):
            raise ValueError(f"a part from 0 to 2 is needed, got {part}")
        self.w.part = part
        self.read(source)
        self.start(step_macd, slow + signal - 1)


cdef class Highest(Kernel):
    """Largest of the last n values; with skip 1, of the n before the newest."""

    def __cinit__(self, int n, str source="high", int skip=0):
        self.w.n, self.w.m, self.w.part = period(n), 1 if skip else 0, 1
        self.read(source)
        self.start(step_extreme, n + self.w.m, n)


cdef class Lowest(Kernel):
    """Smallest of the last n values; with skip 1, of the n before the newest."""

    def __cinit__(self, int n, str source="low", int skip=0):
        self.w.n, self.w.m, self.w.part = period(n), 1 if skip else 0, -1
        self.read(source)
        self.start(step_extreme, n + self.w.m, n)


cdef class Momentum(Kernel):
    """The newest value minus the one n before."""

    def __cinit__(self, int n, str source="close"):
        self.w.n = period(n)
        self.read(source)
        self.start(step_change, n + 1, n)


cdef class Roc(Kernel):
    """Rate of change against the value n before, in percent."""

    def __cinit__(self, int n, str source="close"):
        self.w.n, self.w.part = period(n), 1
        self.read(source)
        self.start(step_change, n + 1, n)


cdef class Atr(Kernel):
    """Average true range after Wilder."""

    def __cinit__(self, int n):
        self.w.n = period(n)
        self.read("high low close")
        self.start(step_atr, n + 1)


cdef class Williams(Kernel):
    """Williams %R, -100 to 0."""

    def __cinit__(self, int n):
        self.w.n = period(n, 2)
        self.read("high low close")
        self.start(step_williams, n, 2 * n)


cdef class Adx(Kernel):
    """Average directional index after Wilder, 0 to 100."""

    def __cinit__(self, int n):
        self.w.n = period(n, 2)
        self.read("high low close")
        self.start(step_adx, 2 * n)


cdef class Obv(Kernel):
    """On-balance volume: volume added on rises and taken away on falls of the close."""

    def __cinit__(self):
        self.w.n = 1
        self.read("close volume")
        self.start(step_obv, 1)


cdef class Panel:
    """All kernels of one instrument, fed by one call per bar. It owns its kernels alone."""

    cdef tuple kernels

    def __cinit__(self, kernels):
        self.kernels = tuple(kernels)
        for kernel in self.kernels:
            if not isinstance(kernel, Kernel):
                raise TypeError(f"a Kernel is needed, got {type(kernel).__name__}")
        if len({id(kernel) for kernel in self.kernels}) != len(self.kernels):
            raise ValueError("a kernel may stand in a panel only once")

    def push(self, double open, double high, double low, double close, double volume) -> tuple:
        """Take one bar and return the answers of all kernels, in order."""
        cdef double[5] bar
        cdef Py_ssize_t i, count = len(self.kernels)
        cdef Kernel kernel
        bar[OPEN], bar[HIGH], bar[LOW], bar[CLOSE], bar[VOLUME] = open, high, low, close, volume
        out = PyTuple_New(count)
        for i in range(count):
            kernel = <Kernel>self.kernels[i]
            value = PyFloat_FromDouble(kernel.step(&kernel.w, bar))
            Py_INCREF(value)  # PyTuple_SET_ITEM steals one reference
            PyTuple_SET_ITEM(out, i, value)
        return out

    def batch(self, bars):
        """Take bars of shape (rows, 5) in turn and return the answers, shape (rows, kernels)."""
        if bars.shape[1] != 5:
            raise ValueError("a bar has open, high, low, close and volume")
        rows = [self.push(r[OPEN], r[HIGH], r[LOW], r[CLOSE], r[VOLUME]) for r in bars]
        return np.array(rows, np.float64).reshape(len(rows), len(self.kernels))

    def dump(self) -> bytes:
        """Return the state of all kernels."""
        return b"".join([(<Kernel>kernel).dump() for kernel in self.kernels])

    def load(self, bytes snapshot not None) -> None:
        """Take over the state that `dump` of an equal panel returned."""
        cdef Py_ssize_t at = 0
        cdef Kernel kernel
        whole = sum([(<Kernel>each).size() for each in self.kernels])
        if len(snapshot) != whole:
            raise ValueError(f"a snapshot of {whole} bytes is needed, got {len(snapshot)}")
        for kernel in self.kernels:
            kernel.load(snapshot[at : at + kernel.size()])
            at += kernel.size()

    def digest(self) -> bytes:
        """Return the BLAKE2b-256 digest of the state."""
        return blake2b(self.dump(), digest_size=32).digest()
