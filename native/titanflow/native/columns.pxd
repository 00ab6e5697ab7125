"""Which columns have the arrays of `gate.pyx`, and which numbers have its rules?"""

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
    OVERFLOW = 36

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
    S_HALT_DAY = 17
    S_HALT_DRAWDOWN = 18
    S_HALT_RUNAWAY = 19
    S_REDUCING = 20
    S_UNJUDGED = 21  # cash moved since the last judgement
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
    X_WIDTH = 7
