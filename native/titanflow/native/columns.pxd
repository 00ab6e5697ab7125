"""Which columns have the arrays of `gate.pyx`, which numbers have its rules, and how is it counted?"""

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #include <stdint.h>
    #define TF_MONEY (((int64_t)1) << 62)
    #define TF_VALUE (((int64_t)1) << 60)     /* of one order or position: sums of four fit */
    #define TF_TICKS (((int64_t)1) << 46)     /* the book's own bound */
    #define TF_SECOND ((int64_t)1000000000)
    #define TF_BPS ((int64_t)10000)
    """
    ctypedef long long i128 "__int128_t"
    const int64_t MONEY "TF_MONEY"
    const int64_t VALUE_MAX "TF_VALUE"
    const int64_t TICKS_MAX "TF_TICKS"
    const int64_t SECOND "TF_SECOND"
    const int64_t BPS "TF_BPS"

# Rules, in the order in which they are asked; core/risk/rules.py gives them names and reasons.
cdef enum:
    PASS = 0
    KILL_ARENA = 1
    KILL_SCOPE = 2
    ACCOUNT = 3
    INSTRUMENT = 4
    DUPLICATE = 5
    STALE = 6
    RATE = 7
    PER_DAY = 8
    ORDER_RATIO = 9
    GROUP_RATE = 10
    UNSUPPORTED = 11
    QUANTITY = 12
    PRICE = 13
    REFERENCE = 14
    COLLAR = 15
    MIN_NOTIONAL = 16
    CLIP_SIZE = 17
    MAX_NOTIONAL = 18
    OPEN_ORDERS = 19
    POSITION_LOTS = 20
    POSITION_NOTIONAL = 21
    CONCENTRATION = 22
    GROSS = 23
    NET = 24
    TURNOVER = 25
    CASH = 26
    LEVERAGE = 27
    SHORT = 28
    DAILY_LOSS = 29
    DRAWDOWN = 30
    RUNAWAY = 31
    GROUP_GROSS = 32
    GROUP_NET = 33
    GROUP_INSTRUMENT = 34
    NOT_REDUCING = 35
    RANGE = 36

# Columns of the limits of a cell.
cdef enum:
    L_AGE = 0
    L_MIN_LOTS = 1
    L_MAX_LOTS = 2
    L_MIN_NOTIONAL = 3
    L_MAX_NOTIONAL = 4
    L_COLLAR = 5
    L_REF_AGE = 6
    L_OPEN_ORDERS = 7
    L_POS_LOTS = 8
    L_POS_NOTIONAL = 9
    L_CONCENTRATION = 10
    L_SHORT = 11
    L_TYPES = 12
    L_TIFS = 13
    L_TRADABLE = 14
    L_WIDTH = 15

# Columns of the limits of a contender.
cdef enum:
    C_RATE = 0
    C_BURST = 1
    C_PER_DAY = 2
    C_RATIO = 3
    C_GROSS = 4
    C_NET = 5
    C_LEVERAGE = 6
    C_FREE_CASH = 7
    C_TURNOVER = 8
    C_DAILY_LOSS = 9
    C_REDUCE = 10
    C_DRAWDOWN = 11
    C_REDUCES_WHEN_HALTED = 12
    C_WIDTH = 13

# Columns of the limits of a group.
cdef enum:
    G_GROSS = 0
    G_NET = 1
    G_INSTRUMENT = 2
    G_DAILY_LOSS = 3
    G_RATE = 4
    G_WIDTH = 5

# Columns of an instrument.
cdef enum:
    I_TICK_VALUE = 0
    I_MIN_LOTS = 1
    I_MAX_LOTS = 2
    I_MIN_NOTIONAL = 3
    I_FEE_PPM = 4
    I_FEE_LOT = 5
    I_FEE_ORDER = 6
    I_WIDTH = 7

# State of a contender.
cdef enum:
    S_ENABLED = 0
    S_CASH = 1
    S_RESERVED = 2
    S_OPEN = 3
    S_VALUE = 4      # positions at their marks
    S_GROSS = 5      # worst case, open orders included
    S_UP = 6         # most net exposure
    S_DOWN = 7       # least net exposure
    S_PEAK = 8
    S_DAY_START = 9
    S_MESSAGES = 10
    S_ORDERS = 11
    S_FILLS = 12
    S_TRADED = 13
    S_TOKENS = 14    # 1e-9 of a message
    S_REFILLED = 15
    S_KILLED = 16    # 0, or 1 for a switch of its own or of a policy
    S_HALT_DAY = 17  # 0, or 1 for its own limit, or 2 + the group whose limit it was
    S_HALT_DRAWDOWN = 18
    S_HALT_RUNAWAY = 19
    S_REDUCING = 20
    S_WORKING = 21   # open orders of both sides at their marks
    S_WIDTH = 22

# State of a cell.
cdef enum:
    X_POSITION = 0
    X_BUY = 1
    X_SELL = 2
    X_VALUE = 3
    X_WORST = 4
    X_UP = 5
    X_DOWN = 6
    X_WORKING = 7
    X_WIDTH = 8

# Columns of the state of a group.
cdef enum:
    H_GROSS = 0
    H_UP = 1
    H_DOWN = 2
    H_TOKENS = 3
    H_REFILLED = 4
    H_WIDTH = 5


cdef inline int64_t value_of(int64_t lots, int64_t price, int64_t tick) noexcept nogil:
    # Lots at a price, or MONEY when that is beyond what the gate counts; none may be negative.
    cdef i128 wide = <i128>lots * price
    if wide > VALUE_MAX:
        return MONEY
    wide = wide * tick
    return MONEY if wide > VALUE_MAX else <int64_t>wide


cdef inline int64_t part_of(int64_t money, int64_t bps) noexcept nogil:
    # Basis points of money, cut, and at most what fits; -1, no limit, stays so.
    if bps < 0:
        return -1
    cdef i128 wide = <i128>money * bps // BPS if money > 0 else 0
    return MONEY if wide > MONEY else <int64_t>wide


cdef inline int64_t take_token(int64_t* tokens, int64_t* refilled, int64_t rate, int64_t burst,
                               int64_t now) noexcept nogil:
    # Take one token of a bucket that refills at *rate* a second; return how many are then taken,
    # which is more than *burst* where there was none.
    cdef int64_t full = burst * SECOND
    cdef i128 more
    if now > refilled[0]:
        more = (<i128>now - refilled[0]) * rate + tokens[0]
        tokens[0] = full if more > full else <int64_t>more
        refilled[0] = now
    if tokens[0] < SECOND:
        return burst + 1
    tokens[0] -= SECOND
    return burst - tokens[0] // SECOND


cdef inline int64_t cost_of(int64_t lots, int64_t price, const int64_t* facts) noexcept nogil:
    # What buying costs at most: value and the dearest fee, rounded up.
    cdef i128 value = value_of(lots, price, facts[I_TICK_VALUE])
    if lots == 0:
        return 0
    value += (value * facts[I_FEE_PPM] + 999_999) // 1_000_000
    value += <i128>lots * facts[I_FEE_LOT] + facts[I_FEE_ORDER]
    return MONEY if value > MONEY else <int64_t>value
