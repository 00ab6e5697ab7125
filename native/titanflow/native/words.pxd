"""Which numbers mean what in the book's messages and events, and which messages make sense?

The words of `book.pyx`; a message has eight columns: operation, id, owner, side, price, quantity,
kind, tif.
"""

from libc.stdint cimport int64_t

cdef enum:
    WIDTH = 8  # columns of messages, events and dumped orders
    # Operations of a message.
    ENTER = 1
    CANCEL = 2
    REPLACE = 3
    MARKET_SET = 4
    UNCROSS = 5
    SWEEP = 6
    # Kinds of order.
    LIMIT = 0
    MARKET = 1
    POST_ONLY = 2
    # Times in force; Day and GTC rest alike, the caller ends a day.
    DAY = 0
    GTC = 1
    IOC = 2
    FOK = 3
    # Kinds of event.
    ACCEPTED = 1
    TRADED = 2
    CANCELED = 3
    EXPIRED = 4
    REJECTED = 5
    REPLACED = 6
    REFUSED = 7
    # Self-match prevention, FIX 2964.
    SMP_NONE = 0
    SMP_AGGRESSIVE = 1
    SMP_PASSIVE = 2
    SMP_BOTH = 3
    # Notes. For self matches: FIX ExecRestatementReason(378), 17 + mode.
    NOTE_TAKER = 0
    NOTE_MAKER = 1
    NOTE_DUPLICATE = 1
    NOTE_POST_ONLY = 2
    NOTE_UNKNOWN = 3
    NOTE_BELOW_CUM = 4
    NOTE_SMP = 17

cdef extern from *:
    """
    #include <stdint.h>
    #define TF_TOP_PRICE (((int64_t)1) << 46)     /* ticks: times basis points it fits 64 bits */
    #define TF_TOP_QUANTITY (((int64_t)1) << 61)  /* lots: the sum of two fits 64 bits */
    """
    const int64_t TOP_PRICE "TF_TOP_PRICE"
    const int64_t TOP_QUANTITY "TF_TOP_QUANTITY"


cdef inline bint sensible(const int64_t* m) noexcept nogil:
    # Whether a message keeps all sums and products within 64 bits and names only what exists.
    cdef bint priced = 0 < m[4] <= TOP_PRICE, sided = m[3] == 1 or m[3] == -1
    if m[0] == ENTER:
        return (m[1] > 0 and 0 <= m[2] <= 0x7FFFFFFF and sided and 0 < m[5] <= TOP_QUANTITY
                and LIMIT <= m[6] <= POST_ONLY and DAY <= m[7] <= FOK
                and (priced or m[6] == MARKET))
    if m[0] == REPLACE:
        return m[1] > 0 and 0 < m[5] <= TOP_QUANTITY and priced
    if m[0] == MARKET_SET:
        return priced and 0 <= m[5] <= TOP_QUANTITY
    if m[0] == SWEEP:
        return sided and priced and 0 <= m[5] <= TOP_QUANTITY
    return m[0] == UNCROSS or (m[0] == CANCEL and m[1] > 0)
