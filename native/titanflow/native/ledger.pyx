"""Who owns what, to the last minor unit? Double entry in integers, for every contender at once.

Each contender has the seven accounts of `ACCOUNTS`; debit balances are positive and the balances
of a contender always sum to zero. Inventory is kept at average cost: a reduction releases
toward_zero(cost × closed / held), the rest stays, and a flat position has no cost. Short positions
have negative lots and negative cost. There is no float here, and nothing wraps: a change that
would leave the bounds raises OverflowError before anything is changed.

It sits under stage 6, post. An entry is (contender, debit, credit, amount, quantity_lots), with
accounts as indices; amounts are never negative.
"""

cdef extern from *:
    """
    #ifndef TITANFLOW_SOURCE_SHA256
    #define TITANFLOW_SOURCE_SHA256 ""
    #endif
    typedef __int128 tf_wide;
    #define TF_LIMIT (1LL << 62)

    /* Store a*b*c/d, d > 0, rounded down or toward zero. Return 1 when it does not fit. */
    static int tf_mul_div(long long a, long long b, long long c, long long d, int down, long long* out) {
        tf_wide product = (tf_wide)a * b, quotient;
        if (__builtin_mul_overflow(product, (tf_wide)c, &product)) return 1;
        quotient = product / d;
        if (down && product < 0 && product % d != 0) quotient -= 1;
        if (quotient > TF_LIMIT || quotient < -TF_LIMIT) return 1;
        *out = (long long)quotient;
        return 0;
    }

    /* Store a + b. Return 1 when it does not fit. */
    static int tf_add(long long a, long long b, long long* out) {
        tf_wide sum = (tf_wide)a + b;
        if (sum > TF_LIMIT || sum < -TF_LIMIT) return 1;
        *out = (long long)sum;
        return 0;
    }

    /* Store the whole lots after a split, and what is left over in 1/den of a new lot. */
    static int tf_split(long long lots, long long num, long long den, long long* whole, long long* rest) {
        tf_wide product = (tf_wide)lots * num, quotient = product / den;
        if (quotient > TF_LIMIT || quotient < -TF_LIMIT) return 1;
        *whole = (long long)quotient;
        *rest = (long long)(product % den);
        return 0;
    }

    /* Return the part of cost that belongs to the left-over of a split, toward zero. */
    static long long tf_share(long long cost, long long rest, long long lots, long long num) {
        return (long long)((tf_wide)cost * rest / ((tf_wide)lots * num));
    }
    """
    const char* TITANFLOW_SOURCE_SHA256
    const long long TF_LIMIT
    int tf_mul_div(long long a, long long b, long long c, long long d, int down, long long* out) noexcept nogil
    int tf_add(long long a, long long b, long long* out) noexcept nogil
    int tf_split(long long lots, long long num, long long den, long long* whole, long long* rest) noexcept nogil
    long long tf_share(long long cost, long long rest, long long lots, long long num) noexcept nogil

from hashlib import blake2b

import numpy as np

from libc.stdint cimport int64_t

SOURCE_SHA256 = TITANFLOW_SOURCE_SHA256.decode()

ACCOUNTS = ("Capital", "Cash", "Inventory", "Realised", "Fees", "Borrow", "Dividends")
"""Names of the accounts, in the order of their indices."""

cdef enum:
    CAPITAL = 0
    CASH = 1
    INVENTORY = 2
    REALISED = 3
    FEES = 4
    BORROW = 5
    DIVIDENDS = 6
    WIDTH = 7
    TOWARD_ZERO = 0
    DOWN = 1
    VERSION = 1
    BPS_DAYS_PER_YEAR = 3_650_000
    LOT_UNIT = 100_000_000
    # Ratios, rates and days beyond this are mistakes of the source, and it keeps products exact.
    FACTOR_MAX = 0x7FFFFFFF

cdef struct Move:
    int64_t lots
    int64_t cost
    int64_t value
    int64_t gain


cdef int beyond(str what) except -1:
    raise OverflowError(f"{what} is beyond the bounds of the books")


cdef class Ledger:
    """The books of all contenders: balances, positions at average cost, and marks.

    *tick_values* gives, for each instrument, the minor units that one tick is worth for one lot;
    *lot_sizes* the size of a lot in 1e-8 of a unit (dividends are paid per unit).
    """

    cdef readonly int contenders
    cdef readonly int instruments
    cdef int64_t[::1] _tick_values
    cdef int64_t[::1] _lot_sizes
    cdef int64_t[::1] _marks
    cdef int64_t[::1] _holders
    cdef int64_t[:, ::1] _balances
    cdef int64_t[:, ::1] _lots
    cdef int64_t[:, ::1] _cost
    cdef int64_t[:, ::1] _plan
    cdef int64_t _entries[3][5]

    def __init__(self, int contenders, tick_values, lot_sizes):
        cdef int i
        if contenders < 1 or len(tick_values) < 1 or len(tick_values) != len(lot_sizes):
            raise ValueError("books need a contender, an instrument, and a lot size for each")
        self.contenders = contenders
        self.instruments = len(tick_values)
        self._tick_values = np.array(tick_values, dtype=np.int64)
        self._lot_sizes = np.array(lot_sizes, dtype=np.int64)
        for i in range(self.instruments):
            if self._tick_values[i] < 1 or self._lot_sizes[i] < 1:
                raise ValueError("tick values and lot sizes are at least 1")
        self._marks = np.zeros(self.instruments, dtype=np.int64)
        self._holders = np.zeros(self.instruments, dtype=np.int64)
        self._balances = np.zeros((contenders, WIDTH), dtype=np.int64)
        self._lots = np.zeros((contenders, self.instruments), dtype=np.int64)
        self._cost = np.zeros((contenders, self.instruments), dtype=np.int64)
        self._plan = np.zeros((contenders, 4), dtype=np.int64)

    # What happens

    def deposit(self, int c, long long amount):
        """Post starting capital; return the entry."""
        cdef long long cash = 0, capital = 0
        self._check(c, 0)
        if amount < 1:
            raise ValueError("a deposit is at least one minor unit")
        if tf_add(self._balances[c, CASH], amount, &cash) or tf_add(
            self._balances[c, CAPITAL], -amount, &capital
        ):
            beyond("the deposit")
        self._balances[c, CASH] = cash
        self._balances[c, CAPITAL] = capital
        return ((c, CASH, CAPITAL, amount, 0),)

    def fill(self, int c, int i, int side, long long lots, long long price_ticks, long long fee):
        """Post one execution (*side* 1 buys, -1 sells); return its one to three entries.

        The first entry moves the whole value between cash and inventory and carries the change of
        the position; then the realised gain, then the fee, each only if it is not zero.
        """
        cdef int count = self._fill(c, i, side, lots, price_ticks, fee)
        if count == 1:
            return (self._entry(0),)
        if count == 2:
            return (self._entry(0), self._entry(1))
        return (self._entry(0), self._entry(1), self._entry(2))

    def fill_batch(self, int64_t[:, ::1] rows):
        """Post executions (contender, instrument, side, lots, price_ticks, fee) in order.

        Returns int64[m, 6]: row of the fill, then the entry. A refused row raises, and the rows
        before it stay posted.
        """
        if rows.shape[1] != 6:
            raise ValueError("a fill has six columns")
        cdef Py_ssize_t n = rows.shape[0], r, done = 0
        cdef int count, k, j
        result = np.empty((3 * n, 6), dtype=np.int64)
        cdef int64_t[:, ::1] out = result
        for r in range(n):
            count = self._fill(
                rows[r, 0], rows[r, 1], rows[r, 2], rows[r, 3], rows[r, 4], rows[r, 5]
            )
            for k in range(count):
                out[done, 0] = r
                for j in range(5):
                    out[done, j + 1] = self._entries[k][j]
                done += 1
        return result[:done].copy()

    def mark(self, int i, long long price_ticks):
        """Value positions of instrument *i* at a price from now on."""
        cdef long long value = 0
        cdef int c
        self._check(0, i)
        if price_ticks < 1:
            raise ValueError("a mark is at least one tick")
        if self._holders[i]:
            for c in range(self.contenders):
                if self._lots[c, i] and tf_mul_div(
                    self._lots[c, i], price_ticks, self._tick_values[i], 1, TOWARD_ZERO, &value
                ):
                    beyond("the value of a position")
        self._marks[i] = price_ticks

    def split(self, int i, long long numerator, long long denominator):
        """Turn each lot into numerator / denominator lots; return the entries.

        Whole lots stay (toward zero). The fraction is paid in cash at the old mark, rounded
        against the contender, and releases its share of the cost. The mark is scaled too.
        """
        cdef int c
        cdef long long mark = 0
        self._check(0, i)
        if not (0 < numerator <= FACTOR_MAX and 0 < denominator <= FACTOR_MAX):
            raise ValueError("a split ratio is made of whole numbers from 1 to 2147483647")
        if tf_mul_div(self._marks[i], denominator, 1, numerator, TOWARD_ZERO, &mark):
            beyond("the mark after the split")
        if self._marks[i] and mark < 1:
            mark = 1
        for c in range(self.contenders):
            if self._lots[c, i]:
                self._plan_split(c, i, numerator, denominator, mark)
        entries = []
        for c in range(self.contenders):
            if self._lots[c, i]:
                self._apply_split(c, i, entries)
        self._marks[i] = mark
        return tuple(entries)

    def dividend(self, int i, long long amount):
        """Pay *amount* minor units per unit held: credited down, charged (shorts) up."""
        cdef int c
        cdef long long paid = 0
        self._check(0, i)
        if amount < 0:
            raise ValueError("a dividend is not negative")
        for c in range(self.contenders):
            if tf_mul_div(self._lots[c, i], amount, self._lot_sizes[i], LOT_UNIT, DOWN, &paid):
                beyond("the dividend")
            self._plan[c, 0] = paid
        return self._pay(DIVIDENDS)

    def borrow(self, int i, long long bps_per_year, long long days):
        """Charge holders of short positions for *days* of borrowing, rounded up."""
        cdef int c
        cdef long long charge = 0
        self._check(0, i)
        if not (0 <= bps_per_year <= FACTOR_MAX and 0 <= days <= FACTOR_MAX):
            raise ValueError("a rate and a number of days are from 0 to 2147483647")
        for c in range(self.contenders):
            self._plan[c, 0] = 0
            if self._lots[c, i] < 0:
                if tf_mul_div(
                    self._value(c, i), bps_per_year, days, BPS_DAYS_PER_YEAR, DOWN, &charge
                ):
                    beyond("the borrow charge")
                self._plan[c, 0] = charge
        return self._pay(BORROW)

    # What is so

    def position(self, int c, int i):
        """Return the lots held; negative is short."""
        self._check(c, i)
        return self._lots[c, i]

    def cost(self, int c, int i):
        """Return the cost of the position in minor units; negative for shorts."""
        self._check(c, i)
        return self._cost[c, i]

    def balance(self, int c, int account):
        """Return the balance of an account; debit is positive."""
        self._check(c, 0)
        if not 0 <= account < WIDTH:
            raise IndexError(f"no account {account}")
        return self._balances[c, account]

    def price(self, int i):
        """Return the mark in ticks; 0 before the first one."""
        self._check(0, i)
        return self._marks[i]

    def position_value(self, int c, int i):
        """Return the position at its mark; at cost before the first mark."""
        self._check(c, i)
        return self._value(c, i)

    def equity(self, int c):
        """Return cash plus all positions at their marks."""
        self._check(c, 0)
        return self._equity(c)

    def equities(self):
        """Return the equity of every contender, as a new array."""
        result = np.empty(self.contenders, dtype=np.int64)
        cdef int64_t[::1] out = result
        cdef int c
        for c in range(self.contenders):
            out[c] = self._equity(c)
        return result

    def gross(self):
        """Return the sum of the sizes of all position values of every contender, as a new array."""
        result = np.empty(self.contenders, dtype=np.int64)
        cdef int64_t[::1] out = result
        cdef int c, i
        cdef long long total, value
        for c in range(self.contenders):
            total = 0
            for i in range(self.instruments):
                value = self._value(c, i)
                if tf_add(total, -value if value < 0 else value, &total):
                    beyond("gross exposure")
            out[c] = total
        return result

    def position_values(self):
        """Return every position at its mark, contenders × instruments, as a new array."""
        result = np.empty((self.contenders, self.instruments), dtype=np.int64)
        cdef int64_t[:, ::1] out = result
        cdef int c, i
        for c in range(self.contenders):
            for i in range(self.instruments):
                out[c, i] = self._value(c, i)
        return result

    def positions(self):
        """Return the lots of every contender and instrument, as a new array."""
        return np.array(self._lots)

    def balances(self):
        """Return the balances of every contender, contenders × accounts, as a new array."""
        return np.array(self._balances)

    def trial_balance(self):
        """Return the sum of all balances: zero, or the books are broken."""
        return sum(sum(row) for row in np.asarray(self._balances).tolist())

    def validate(self):
        """Check every promise of the books.

        Raises: AssertionError naming the broken one.
        """
        cdef int c, i
        for i in range(self.instruments):
            held = np.count_nonzero(np.asarray(self._lots)[:, i])
            if held != self._holders[i] or self._marks[i] < 0:
                raise AssertionError(f"instrument {i}: holders or mark are wrong")
        for c in range(self.contenders):
            if sum(np.asarray(self._balances[c]).tolist()) != 0:
                raise AssertionError(f"contender {c}: balances do not sum to zero")
            if sum(np.asarray(self._cost[c]).tolist()) != self._balances[c, INVENTORY]:
                raise AssertionError(f"contender {c}: inventory is not the cost of its positions")
            for i in range(self.instruments):
                lots, cost = self._lots[c, i], self._cost[c, i]
                if (lots == 0 and cost != 0) or (lots > 0 and cost < 0) or (lots < 0 and cost > 0):
                    raise AssertionError(f"contender {c}: {lots} lots of {i} cost {cost}")

    def dump(self):
        """Return the state as int64 in little-endian order, the same for every implementation."""
        return b"".join(
            np.ascontiguousarray(part, dtype="<i8").tobytes()
            for part in (
                [VERSION, self.contenders, self.instruments],
                self._tick_values,
                self._lot_sizes,
                self._marks,
                self._balances,
                self._lots,
                self._cost,
            )
        )

    def digest(self):
        """Return a hash of the state."""
        return blake2b(self.dump(), digest_size=32).digest()

    def load(self, bytes snapshot):
        """Take over a state from `dump`.

        Raises: ValueError if it belongs to other books, AssertionError if it is no valid state.
        """
        cdef int i, m = self.contenders, n = self.instruments
        if len(snapshot) != 8 * (3 + 3 * n + m * (WIDTH + 2 * n)):
            raise ValueError("the snapshot has another size than these books")
        data = np.frombuffer(snapshot, dtype="<i8").astype(np.int64)
        head = [VERSION, m, n] + list(self._tick_values) + list(self._lot_sizes)
        if data[: 3 + 2 * n].tolist() != head:
            raise ValueError("the snapshot belongs to other books")
        data = data[3 + 2 * n :]
        self._marks = data[:n].copy()
        data = data[n:]
        self._balances = data[: m * WIDTH].reshape(m, WIDTH).copy()
        data = data[m * WIDTH :]
        self._lots = data[: m * n].reshape(m, n).copy()
        self._cost = data[m * n :].reshape(m, n).copy()
        for i in range(n):
            self._holders[i] = np.count_nonzero(np.asarray(self._lots)[:, i])
        self.validate()

    # How

    cdef int _check(self, long long c, long long i) except -1:
        if c < 0 or c >= self.contenders or i < 0 or i >= self.instruments:
            raise IndexError(f"no contender {c} or no instrument {i}")
        return 0

    cdef tuple _entry(self, int k):
        return (
            self._entries[k][0],
            self._entries[k][1],
            self._entries[k][2],
            self._entries[k][3],
            self._entries[k][4],
        )

    cdef void _note(
        self, int k, long long c, int debit, int credit, long long amount, long long lots
    ) noexcept:
        # An amount below zero goes the other way round.
        self._entries[k][0] = c
        self._entries[k][1] = debit if amount >= 0 else credit
        self._entries[k][2] = credit if amount >= 0 else debit
        self._entries[k][3] = amount if amount >= 0 else -amount
        self._entries[k][4] = lots

    cdef int _move(
        self, long long c, long long i, long long side, long long lots, long long price, Move* move
    ) except -1:
        """Work out what a fill does to the position, without doing it."""
        cdef long long held = self._lots[c, i], cost = self._cost[c, i]
        cdef long long size = held if held >= 0 else -held
        cdef long long closed = 0, released = 0, closed_value = 0, value = 0, after = 0
        cdef int sign = 1 if held >= 0 else -1
        if tf_mul_div(lots, price, self._tick_values[i], 1, TOWARD_ZERO, &value):
            beyond("the value of the fill")
        if held != 0 and sign != side:
            closed = size if size < lots else lots
            # closed is at most lots, so its value fits too.
            tf_mul_div(closed, price, self._tick_values[i], 1, TOWARD_ZERO, &closed_value)
            tf_mul_div(cost, closed, 1, size, TOWARD_ZERO, &released)
        if tf_add(held, side * lots, &after):
            beyond("the position")
        move.lots = after
        if tf_add(cost - released, side * (value - closed_value), &after):
            beyond("the cost of the position")
        move.cost = after
        move.value = value
        if tf_add(sign * closed_value, -released, &after):
            beyond("the realised gain")
        move.gain = after
        return 0

    cdef int _fill(
        self, long long c, long long i, long long side, long long lots, long long price, long long fee
    ) except -1:
        cdef Move move
        cdef long long cash = 0, inventory = 0, realised = 0, fees = 0, worth = 0
        cdef int count = 1
        self._check(c, i)
        if (side != 1 and side != -1) or lots < 1 or price < 1:
            raise ValueError("a fill has side 1 or -1, and lots and price above zero")
        if fee > TF_LIMIT or fee < -TF_LIMIT:
            beyond("the fee")
        self._move(c, i, side, lots, price, &move)
        if (
            tf_add(self._balances[c, CASH], -side * move.value, &cash)
            or tf_add(cash, -fee, &cash)
            or tf_add(self._balances[c, INVENTORY], move.cost - self._cost[c, i], &inventory)
            or tf_add(self._balances[c, REALISED], -move.gain, &realised)
            or tf_add(self._balances[c, FEES], fee, &fees)
            or tf_mul_div(move.lots, self._marks[i], self._tick_values[i], 1, TOWARD_ZERO, &worth)
        ):
            beyond("a balance after the fill")
        self._holders[i] += (move.lots != 0) - (self._lots[c, i] != 0)
        self._balances[c, CASH] = cash
        self._balances[c, INVENTORY] = inventory
        self._balances[c, REALISED] = realised
        self._balances[c, FEES] = fees
        self._lots[c, i] = move.lots
        self._cost[c, i] = move.cost
        self._note(0, c, INVENTORY, CASH, side * move.value, side * lots)
        if move.gain:
            self._note(count, c, INVENTORY, REALISED, move.gain, 0)
            count += 1
        if fee:
            self._note(count, c, FEES, CASH, fee, 0)
            count += 1
        return count

    cdef int _plan_split(self, int c, int i, long long num, long long den, long long mark) except -1:
        """Work out whole lots, cash in lieu and released cost of one holder into the plan."""
        cdef long long lots = self._lots[c, i], cost = self._cost[c, i]
        cdef long long whole = 0, rest = 0, lieu = 0, released, unused = 0
        if tf_split(lots, num, den, &whole, &rest):
            beyond("the position after the split")
        if tf_mul_div(whole, mark, self._tick_values[i], 1, TOWARD_ZERO, &unused):
            beyond("the value of the position after the split")
        released = tf_share(cost, rest, lots, num)
        lieu = released
        if self._marks[i] and tf_mul_div(rest, self._marks[i], self._tick_values[i], num, DOWN, &lieu):
            beyond("the cash in lieu")
        if (
            tf_add(self._balances[c, CASH], lieu, &unused)
            or tf_add(self._balances[c, INVENTORY], -released, &unused)
            or tf_add(self._balances[c, REALISED], released - lieu, &unused)
        ):
            beyond("a balance after the split")
        self._plan[c, 0] = whole
        self._plan[c, 1] = lieu
        self._plan[c, 2] = released
        return 0

    cdef int _apply_split(self, int c, int i, list entries) except -1:
        cdef long long change = self._plan[c, 0] - self._lots[c, i]
        cdef long long lieu = self._plan[c, 1], released = self._plan[c, 2]
        self._holders[i] -= self._plan[c, 0] == 0
        self._lots[c, i] = self._plan[c, 0]
        self._cost[c, i] -= released
        self._balances[c, CASH] += lieu
        self._balances[c, INVENTORY] -= released
        self._balances[c, REALISED] -= lieu - released
        if change or lieu:
            self._note(0, c, CASH, INVENTORY, lieu, change)
            entries.append(self._entry(0))
        if lieu != released:
            self._note(0, c, INVENTORY, REALISED, lieu - released, 0)
            entries.append(self._entry(0))
        return 0

    cdef tuple _pay(self, int account):
        """Move what is planned for each contender between cash and *account*; below zero, pay."""
        cdef int c
        cdef long long unused = 0
        for c in range(self.contenders):
            if tf_add(self._balances[c, CASH], self._plan[c, 0], &unused) or tf_add(
                self._balances[c, account], -self._plan[c, 0], &unused
            ):
                beyond("a balance after the payment")
        entries = []
        for c in range(self.contenders):
            if self._plan[c, 0]:
                self._balances[c, CASH] += self._plan[c, 0]
                self._balances[c, account] -= self._plan[c, 0]
                self._note(0, c, CASH, account, self._plan[c, 0], 0)
                entries.append(self._entry(0))
        return tuple(entries)

    cdef long long _value(self, int c, int i) noexcept:
        # Every change checks that this product fits, so it cannot overflow here.
        if self._marks[i] == 0:
            return self._cost[c, i]
        return self._lots[c, i] * self._marks[i] * self._tick_values[i]

    cdef long long _equity(self, int c) except? -1:
        cdef int i
        cdef long long total = self._balances[c, CASH]
        for i in range(self.instruments):
            if tf_add(total, self._value(c, i), &total):
                beyond("equity")
        return total
