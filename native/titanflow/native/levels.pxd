"""Where do resting orders lie? Pools, tables and ladders of `book.pyx`, as inline C functions.

Orders and levels live in two growing arrays with free lists; what ended is used again. Two
open-addressing tables, by order id and by price, hold live entries only, without tombstones; each
side's levels stand in a sorted vector with the best at the end, so that what happens most, at the
best prices, moves the least memory. Functions that may need memory return -1 when there is none.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memmove, memset

cdef enum:
    FEW = 64  # slots that each part of an empty store has

cdef struct Order:
    int64_t id
    int64_t leaves
    int64_t cum
    int64_t stamp  # order of arrival in the book, over both sides
    int32_t next
    int32_t prev
    int32_t level
    int32_t owner
    int32_t post_only

cdef struct Level:
    int64_t price
    int32_t head
    int32_t tail  # while the level is unused: the next unused one
    int32_t side  # +1 bids, -1 asks

cdef struct Entry:
    uint32_t tag  # 32 bits of the key's hash; its home is tag & mask
    int32_t slot  # -1: empty

cdef struct Table:
    Entry* entries
    uint32_t mask
    uint32_t count

cdef struct Rung:
    int64_t key  # side * price: the best is the greatest on both sides
    int32_t level

cdef struct Ladder:
    Rung* rungs
    int32_t count
    int32_t capacity

cdef struct Store:
    Order* orders
    Level* levels
    Table by_id
    Table by_price
    Ladder bids
    Ladder asks
    int32_t order_capacity
    int32_t order_free
    int32_t level_capacity
    int32_t level_free
    int64_t stamp


cdef inline uint32_t tag_of(int64_t key) noexcept nogil:
    # The high half of a multiplication by the golden ratio: neighbours land apart.
    return <uint32_t>((<uint64_t>key * <uint64_t>0x9E3779B97F4A7C15) >> 32)


cdef inline int make_table(Table* table, uint32_t size) noexcept nogil:
    # All ones is slot -1 in every entry.
    table.entries = <Entry*>malloc(size * sizeof(Entry))
    if table.entries == NULL:
        return -1
    memset(table.entries, 0xFF, size * sizeof(Entry))
    table.mask, table.count = size - 1, 0
    return 0


cdef inline void put(Table* table, uint32_t tag, int32_t slot) noexcept nogil:
    cdef uint32_t place = tag & table.mask
    while table.entries[place].slot >= 0:
        place = (place + 1) & table.mask
    table.entries[place].tag, table.entries[place].slot = tag, slot
    table.count += 1


cdef inline int make_room(Table* table) noexcept nogil:
    # At most half full, so that a search ends after one or two entries.
    cdef Table wider
    cdef uint32_t place
    if table.count * 2 <= table.mask:
        return 0
    if make_table(&wider, (table.mask + 1) * 2) < 0:
        return -1
    for place in range(table.mask + 1):
        if table.entries[place].slot >= 0:
            put(&wider, table.entries[place].tag, table.entries[place].slot)
    free(table.entries)
    table[0] = wider
    return 0


cdef inline void take_out(Table* table, uint32_t tag, int32_t slot) noexcept nogil:
    # Later entries of the same run move up, so no tombstones fill the table.
    cdef uint32_t mask = table.mask, hole = tag & table.mask, place
    while table.entries[hole].slot != slot:
        hole = (hole + 1) & mask
    place = hole
    while True:
        place = (place + 1) & mask
        if table.entries[place].slot < 0:
            break
        if ((place - (table.entries[place].tag & mask)) & mask) >= ((place - hole) & mask):
            table.entries[hole] = table.entries[place]
            hole = place
    table.entries[hole].slot = -1
    table.count -= 1


cdef inline int make_store(Store* s) noexcept nogil:
    memset(s, 0, sizeof(Store))
    s.order_free = s.level_free = -1
    s.bids.rungs = <Rung*>malloc(FEW * sizeof(Rung))
    s.asks.rungs = <Rung*>malloc(FEW * sizeof(Rung))
    s.bids.capacity = s.asks.capacity = FEW
    if s.bids.rungs == NULL or s.asks.rungs == NULL:
        return -1
    if make_table(&s.by_id, FEW) < 0 or make_table(&s.by_price, FEW) < 0:
        return -1
    return -1 if more_orders(s) < 0 else more_levels(s)


cdef inline void free_store(Store* s) noexcept nogil:
    free(s.orders)
    free(s.levels)
    free(s.by_id.entries)
    free(s.by_price.entries)
    free(s.bids.rungs)
    free(s.asks.rungs)


cdef inline int more_orders(Store* s) noexcept nogil:
    cdef int32_t slot, capacity = 2 * s.order_capacity if s.order_capacity > 0 else FEW
    cdef void* wider = realloc(s.orders, capacity * sizeof(Order))
    if wider == NULL:
        return -1
    s.orders = <Order*>wider
    for slot in range(capacity - 1, s.order_capacity - 1, -1):
        s.orders[slot].next = s.order_free
        s.order_free = slot
    s.order_capacity = capacity
    return 0


cdef inline int more_levels(Store* s) noexcept nogil:
    cdef int32_t index, capacity = 2 * s.level_capacity if s.level_capacity > 0 else FEW
    cdef void* wider = realloc(s.levels, capacity * sizeof(Level))
    if wider == NULL:
        return -1
    s.levels = <Level*>wider
    for index in range(capacity - 1, s.level_capacity - 1, -1):
        s.levels[index].tail = s.level_free
        s.level_free = index
    s.level_capacity = capacity
    return 0


cdef inline Ladder* ladder_of(Store* s, int32_t side) noexcept nogil:
    return &s.bids if side > 0 else &s.asks


cdef inline int32_t find_order(Store* s, int64_t id) noexcept nogil:
    # The order's slot, or -1.
    cdef uint32_t tag = tag_of(id), place = tag & s.by_id.mask
    cdef Entry entry
    while True:
        entry = s.by_id.entries[place]
        if entry.slot < 0:
            return -1
        if entry.tag == tag and s.orders[entry.slot].id == id:
            return entry.slot
        place = (place + 1) & s.by_id.mask


cdef inline int32_t find_level(Store* s, int32_t side, int64_t price) noexcept nogil:
    cdef uint32_t tag = tag_of(side * price), place = tag & s.by_price.mask
    cdef Entry entry
    cdef Level* level
    while True:
        entry = s.by_price.entries[place]
        if entry.slot < 0:
            return -1
        level = &s.levels[entry.slot]
        if entry.tag == tag and level.price == price and level.side == side:
            return entry.slot
        place = (place + 1) & s.by_price.mask


cdef inline int32_t place_of(Ladder* ladder, int64_t key) noexcept nogil:
    # The first rung whose key is not below; looks at the best first.
    cdef int32_t low = 0, high = ladder.count, middle
    if high > 0 and ladder.rungs[high - 1].key < key:
        return high
    while low < high:
        middle = (low + high) >> 1
        if ladder.rungs[middle].key < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline int32_t open_level(Store* s, int32_t side, int64_t price) noexcept nogil:
    cdef Ladder* ladder = ladder_of(s, side)
    cdef int64_t key = side * price
    cdef int32_t index, place = place_of(ladder, key)
    cdef Level* level
    cdef void* wider
    if s.level_free < 0 and more_levels(s) < 0:
        return -1
    if make_room(&s.by_price) < 0:
        return -1
    if ladder.count == ladder.capacity:
        wider = realloc(ladder.rungs, 2 * ladder.capacity * sizeof(Rung))
        if wider == NULL:
            return -1
        ladder.rungs = <Rung*>wider
        ladder.capacity *= 2
    index = s.level_free
    level = &s.levels[index]
    s.level_free = level.tail
    level.price, level.head, level.tail, level.side = price, -1, -1, side
    memmove(ladder.rungs + place + 1, ladder.rungs + place, (ladder.count - place) * sizeof(Rung))
    ladder.rungs[place].key, ladder.rungs[place].level = key, index
    ladder.count += 1
    put(&s.by_price, tag_of(key), index)
    return index


cdef inline void close_level(Store* s, int32_t index) noexcept nogil:
    cdef Level* level = &s.levels[index]
    cdef Ladder* ladder = ladder_of(s, level.side)
    cdef int64_t key = level.side * level.price
    cdef int32_t place = place_of(ladder, key)
    ladder.count -= 1
    memmove(ladder.rungs + place, ladder.rungs + place + 1, (ladder.count - place) * sizeof(Rung))
    take_out(&s.by_price, tag_of(key), index)
    level.tail = s.level_free
    s.level_free = index


cdef inline Order* add_order(Store* s, int64_t id, int32_t side, int64_t price) noexcept nogil:
    # A new order at the end of its level's queue, or NULL; the caller fills in the rest.
    cdef int32_t index = find_level(s, side, price), slot
    cdef Order* order
    cdef Level* level
    if s.order_free < 0 and more_orders(s) < 0:
        return NULL
    if make_room(&s.by_id) < 0:
        return NULL
    if index < 0:
        index = open_level(s, side, price)
        if index < 0:
            return NULL
    slot = s.order_free
    order, level = &s.orders[slot], &s.levels[index]
    s.order_free = order.next
    order.id, order.level, order.stamp = id, index, s.stamp
    order.prev, order.next = level.tail, -1
    s.stamp += 1
    if level.tail >= 0:
        s.orders[level.tail].next = slot
    else:
        level.head = slot
    level.tail = slot
    put(&s.by_id, tag_of(id), slot)
    return order


cdef inline void remove_order(Store* s, int32_t slot) noexcept nogil:
    cdef Order* order = &s.orders[slot]
    cdef Level* level = &s.levels[order.level]
    take_out(&s.by_id, tag_of(order.id), slot)
    if order.prev >= 0:
        s.orders[order.prev].next = order.next
    else:
        level.head = order.next
    if order.next >= 0:
        s.orders[order.next].prev = order.prev
    else:
        level.tail = order.prev
    if level.head < 0:
        close_level(s, order.level)
    order.next = s.order_free
    s.order_free = slot


cdef inline void write_orders(Store* s, int64_t* rows) noexcept nogil:
    # Eight numbers for each order: bids before asks, best level first, oldest order first.
    cdef int32_t side, rung, slot
    cdef Ladder* ladder
    cdef Level* level
    cdef Order* order
    for side in range(1, -2, -2):
        ladder = ladder_of(s, side)
        for rung in range(ladder.count - 1, -1, -1):
            level = &s.levels[ladder.rungs[rung].level]
            slot = level.head
            while slot >= 0:
                order = &s.orders[slot]
                rows[0], rows[1], rows[2], rows[3] = order.id, order.owner, side, level.price
                rows[4], rows[5], rows[6] = order.leaves, order.cum, order.stamp
                rows[7] = order.post_only
                rows, slot = rows + 8, order.next


cdef inline const char* flaw_of(Store* s) noexcept nogil:
    # What is broken in the store, or NULL.
    cdef int32_t side, rung, slot, before, orders = 0
    cdef Ladder* ladder
    cdef Level* level
    cdef Order* order
    for side in range(1, -2, -2):
        ladder = ladder_of(s, side)
        for rung in range(ladder.count):
            level = &s.levels[ladder.rungs[rung].level]
            if rung > 0 and ladder.rungs[rung].key <= ladder.rungs[rung - 1].key:
                return "levels are out of order"
            if level.side != side or ladder.rungs[rung].key != side * level.price:
                return "a level stands on the wrong rung"
            if find_level(s, side, level.price) != ladder.rungs[rung].level:
                return "a level is not in its table"
            before, slot = -1, level.head
            while slot >= 0:
                order = &s.orders[slot]
                if order.prev != before or order.level != ladder.rungs[rung].level:
                    return "a queue is not linked both ways"
                if before >= 0 and order.stamp <= s.orders[before].stamp:
                    return "a queue is not in the order of arrival"
                if order.leaves < 1 or order.cum < 0 or order.stamp >= s.stamp:
                    return "an order has impossible numbers"
                if find_order(s, order.id) != slot:
                    return "an order is not in its table"
                before, slot, orders = slot, order.next, orders + 1
            if before < 0 or level.tail != before:
                return "a level has no last order"
    if <uint32_t>orders != s.by_id.count:
        return "the table of orders holds what no level holds"
    if <uint32_t>(s.bids.count + s.asks.count) != s.by_price.count:
        return "the table of levels holds what no side holds"
    return NULL
