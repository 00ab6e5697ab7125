"""How does a record become protobuf bytes, and come back? By a layout, for any type, in C.

It is the short way only: a layout takes exactly the types that its columns name, and reads exactly
what it writes, every field once and in the order of the numbers. Whatever is otherwise is answered
by `Unfit`, whether it is wrong or merely unusual; the caller then goes the long way, which knows.

It sits under the codec of the wire.
"""

cdef extern from *:
    """
    #ifndef TITANFLOW_SOURCE_SHA256
    #define TITANFLOW_SOURCE_SHA256 ""
    #endif
    """
    const char* TITANFLOW_SOURCE_SHA256

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memmove

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_FromDouble
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM

cdef extern from "Python.h":
    int64_t PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1
    uint64_t PyLong_AsUnsignedLongLong(object value) except? 0xFFFFFFFFFFFFFFFF
    const char* PyUnicode_AsUTF8AndSize(object value, Py_ssize_t* size) except NULL
    object PyUnicode_DecodeUTF8(const char* text, Py_ssize_t size, const char* errors)

SOURCE_SHA256 = TITANFLOW_SOURCE_SHA256.decode()

KINDS = ("sint64", "uint64", "double", "bool", "string", "bytes", "id", "enum", "record", "union")
"""What a column may hold; an id is sixteen bytes, a union one of several records by its number."""

cdef enum:
    SINT64 = 0
    UINT64 = 1
    DOUBLE = 2
    BOOL = 3
    STRING = 4
    BYTES = 5
    ID = 6
    ENUM = 7
    RECORD = 8
    UNION = 9

cdef enum:
    VARINT = 0
    FIXED64 = 1
    LENGTH = 2

cdef enum:
    ID_BYTES = 16
    BUFFER_BYTES = 4096


class Unfit(ValueError):
    """A value or bytes that the short way does not take."""


cdef class Column:
    """One field: its place in the record, its number on the wire, what it holds.

    *kind* is one of KINDS; *members* are (number, member) of an enumeration or (number, layout) of
    the records of a union. An *optional* column may be absent, and then is *default*; it is left
    out when it is None and *default* is None too.
    """

    cdef readonly str name
    cdef int kind
    cdef uint64_t tag
    cdef bint repeated, packed, optional
    cdef object default
    cdef tuple numbers
    cdef tuple members
    cdef dict by_type
    cdef dict by_number
    cdef Layout record

    def __init__(
        self, str name, int number, str kind, *, bint repeated=False, bint optional=False,
        default=None, members=(), Layout record=None,
    ):
        self.name, self.kind = name, KINDS.index(kind)
        self.repeated, self.optional, self.default = repeated, optional, default
        self.packed = repeated and (self.kind <= BOOL or self.kind == ENUM)
        cdef int wire = LENGTH
        if not self.packed:
            if self.kind == SINT64 or self.kind == UINT64 or self.kind == BOOL or self.kind == ENUM:
                wire = VARINT
            elif self.kind == DOUBLE:
                wire = FIXED64
        self.tag = (<uint64_t>number << 3) | wire
        self.record = record
        self.numbers, self.members = (), ()
        self.by_type, self.by_number = {}, {}
        if self.kind == ENUM:
            self.numbers = tuple(number for number, _ in members)
            self.members = tuple(member for _, member in members)
            self.by_number = dict(members)
        elif self.kind == UNION:
            self.by_type = {layout.make: (number, layout) for number, layout in members}
            self.by_number = dict(members)
        elif self.kind == RECORD and record is None:
            raise ValueError(f"{name}: a record has a layout")


cdef class Layout:
    """The columns of one type of record, in the order of their numbers.

    *make* is the type of the record, called with all values in order; None stands for a tuple.
    """

    cdef readonly object make
    cdef tuple _columns
    cdef Py_ssize_t _count

    def __init__(self, make, columns):
        self.make, self._columns = make, tuple(columns)
        self._count = len(self._columns)

    def encode(self, record):
        """Return *record* as bytes. Raises: Unfit and its kin, ValueError, TypeError."""
        cdef Writer out = Writer()
        put_record(out, self, record)
        return PyBytes_FromStringAndSize(out.data, out.size)

    def decode(self, bytes data not None, Py_ssize_t size):
        """Return the record in the first *size* bytes. Raises: Unfit, ValueError."""
        if size < 0 or size > PyBytes_GET_SIZE(data):
            raise Unfit("no such bytes")
        cdef const unsigned char* start = <const unsigned char*>PyBytes_AS_STRING(data)
        return get_record(self, start, start + size)


cdef class Writer:
    """Bytes that grow."""

    cdef char* data
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    def __cinit__(self):
        self.data, self.size, self.room = NULL, 0, 0
        grow(self, BUFFER_BYTES)

    def __dealloc__(self):
        PyMem_Free(self.data)


cdef int grow(Writer out, Py_ssize_t more) except -1:
    """Make room for so many more bytes."""
    cdef Py_ssize_t room = out.room
    cdef char* data
    if out.size + more <= room:
        return 0
    while room < out.size + more:
        room = room * 2 if room else more
    data = <char*>PyMem_Realloc(out.data, room)
    if data == NULL:
        raise MemoryError
    out.data, out.room = data, room
    return 0


cdef inline int put_varint(Writer out, uint64_t value) except -1:
    grow(out, 10)
    while value >= 0x80:
        out.data[out.size] = <char>(value | 0x80)
        out.size += 1
        value >>= 7
    out.data[out.size] = <char>value
    out.size += 1
    return 0


cdef inline int put_bytes(Writer out, const char* content, Py_ssize_t size) except -1:
    """Write length and content."""
    put_varint(out, <uint64_t>size)
    grow(out, size)
    memcpy(out.data + out.size, content, size)
    out.size += size
    return 0


cdef inline Py_ssize_t begin(Writer out) except -1:
    """Leave a byte for a length; return where what it counts begins."""
    grow(out, 1)
    out.size += 1
    return out.size


cdef inline int end(Writer out, Py_ssize_t start) except -1:
    """Write the length of all since *start* before it."""
    cdef uint64_t length = out.size - start
    cdef uint64_t rest = length >> 7
    cdef Py_ssize_t more = 0
    while rest:
        more += 1
        rest >>= 7
    if more:
        grow(out, more)
        memmove(out.data + start + more, out.data + start, length)
        out.size += more
    start -= 1
    while length >= 0x80:
        out.data[start] = <char>(length | 0x80)
        start += 1
        length >>= 7
    out.data[start] = <char>length
    return 0


cdef int put_record(Writer out, Layout layout, object record) except -1:
    cdef Column column
    cdef Py_ssize_t i
    cdef object value
    cdef bint is_tuple = layout.make is None
    if is_tuple:
        if type(record) is not tuple or PyTuple_GET_SIZE(record) != layout._count:
            raise Unfit("no tuple of this length")
    elif type(record) is not layout.make:
        raise Unfit("another type")
    for i in range(layout._count):
        column = <Column>PyTuple_GET_ITEM(layout._columns, i)
        if is_tuple:
            value = <object>PyTuple_GET_ITEM(record, i)
        else:
            value = getattr(record, column.name)
        if column.repeated:
            put_many(out, column, value)
        elif value is None:
            if not column.optional or column.default is not None:
                raise Unfit("None is no value")
        else:
            put_varint(out, column.tag)
            put_one(out, column, value)
    return 0


cdef int put_many(Writer out, Column column, object values) except -1:
    cdef Py_ssize_t i, start
    if type(values) is not tuple:
        raise Unfit("no tuple")
    if PyTuple_GET_SIZE(values) == 0:
        return 0
    if column.packed:
        put_varint(out, column.tag)
        start = begin(out)
        for i in range(PyTuple_GET_SIZE(values)):
            put_one(out, column, <object>PyTuple_GET_ITEM(values, i))
        return end(out, start)
    for i in range(PyTuple_GET_SIZE(values)):
        put_varint(out, column.tag)
        put_one(out, column, <object>PyTuple_GET_ITEM(values, i))
    return 0


cdef int put_one(Writer out, Column column, object value) except -1:
    cdef int kind = column.kind
    cdef int overflow = 0
    cdef int64_t number
    cdef double real
    cdef Py_ssize_t size, start, i
    cdef const char* text
    if kind == SINT64:
        if type(value) is not int:
            raise Unfit("no int")
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            raise Unfit("more than 64 bits")
        return put_varint(out, (<uint64_t>number << 1) ^ <uint64_t>(number >> 63))
    if kind == STRING:
        if type(value) is not str:
            raise Unfit("no str")
        text = PyUnicode_AsUTF8AndSize(value, &size)
        return put_bytes(out, text, size)
    if kind == ID or kind == BYTES:
        if type(value) is not bytes:
            raise Unfit("no bytes")
        size = PyBytes_GET_SIZE(value)
        if kind == ID and size != ID_BYTES:
            raise Unfit("no id")
        return put_bytes(out, PyBytes_AS_STRING(value), size)
    if kind == ENUM:
        for i in range(PyTuple_GET_SIZE(column.members)):
            if <object>PyTuple_GET_ITEM(column.members, i) is value:
                return put_varint(out, <uint64_t><object>PyTuple_GET_ITEM(column.numbers, i))
        raise Unfit("no member")
    if kind == DOUBLE:
        if type(value) is not float:
            raise Unfit("no float")
        real = PyFloat_AS_DOUBLE(value)
        grow(out, 8)
        memcpy(out.data + out.size, &real, 8)
        out.size += 8
        return 0
    if kind == BOOL:
        if value is not True and value is not False:
            raise Unfit("no bool")
        return put_varint(out, 1 if value is True else 0)
    if kind == UINT64:
        if type(value) is not int:
            raise Unfit("no int")
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow == 0 and number >= 0:
            return put_varint(out, <uint64_t>number)
        try:
            return put_varint(out, PyLong_AsUnsignedLongLong(value))
        except OverflowError as error:
            raise Unfit("not within 64 bits") from error
    start = begin(out)
    if kind == RECORD:
        put_record(out, column.record, value)
    else:
        put_union(out, column, value)
    return end(out, start)


cdef int put_union(Writer out, Column column, object value) except -1:
    cdef object found = column.by_type.get(type(value))
    cdef Py_ssize_t start
    if found is None:
        raise Unfit("no record of this union")
    put_varint(out, (<uint64_t><object>PyTuple_GET_ITEM(found, 0) << 3) | LENGTH)
    start = begin(out)
    put_record(out, <Layout>PyTuple_GET_ITEM(found, 1), value)
    return end(out, start)


cdef struct Span:
    const unsigned char* at
    const unsigned char* end


cdef inline uint64_t get_varint(Span* span) except? 0xFFFFFFFFFFFFFFFF:
    cdef uint64_t value = 0
    cdef int shift = 0
    cdef unsigned char byte
    while span.at < span.end:
        byte = span.at[0]
        span.at += 1
        if shift == 63 and byte > 1:
            break
        value |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7
    raise Unfit("no number")


cdef inline const unsigned char* get_block(Span* span) except NULL:
    """Return the end of a block whose length comes first; it begins where the span is then."""
    cdef uint64_t size = get_varint(span)
    if size > <uint64_t>(span.end - span.at):
        raise Unfit("cut")
    return span.at + size


cdef object get_record(Layout layout, const unsigned char* start, const unsigned char* stop):
    cdef Span span
    cdef Column column
    cdef uint64_t tag = 0
    cdef bint has_tag = False
    cdef Py_ssize_t i
    cdef object value
    cdef list many
    cdef tuple values = PyTuple_New(layout._count)
    span.at, span.end = start, stop
    for i in range(layout._count):
        column = <Column>PyTuple_GET_ITEM(layout._columns, i)
        if not has_tag and span.at < span.end:
            tag, has_tag = get_varint(&span), True
        if has_tag and tag == column.tag:
            has_tag = False
            if not column.repeated:
                value = get_one(column, &span)
            elif column.packed:
                value = get_packed(column, &span)
            else:
                many = [get_one(column, &span)]
                while span.at < span.end:
                    tag = get_varint(&span)
                    if tag != column.tag:
                        has_tag = True
                        break
                    many.append(get_one(column, &span))
                value = tuple(many)
        elif column.repeated:
            value = ()
        elif column.optional:
            value = column.default
        else:
            raise Unfit("a field is missing, or comes later")
        Py_INCREF(value)
        PyTuple_SET_ITEM(values, i, value)
    if has_tag or span.at != span.end:
        raise Unfit("more than the columns")
    if layout.make is None:
        return values
    return layout.make(*values)


cdef tuple get_packed(Column column, Span* span):
    cdef Span inner
    cdef list many = []
    inner.end = get_block(span)
    inner.at = span.at
    span.at = inner.end
    while inner.at < inner.end:
        many.append(get_one(column, &inner))
    return tuple(many)


cdef object get_one(Column column, Span* span):
    cdef int kind = column.kind
    cdef uint64_t raw
    cdef double real
    cdef const unsigned char* start
    cdef const unsigned char* stop
    if kind == SINT64:
        raw = get_varint(span)
        return <int64_t>((raw >> 1) ^ (~(raw & 1) + 1))
    if kind == DOUBLE:
        if span.end - span.at < 8:
            raise Unfit("cut")
        memcpy(&real, span.at, 8)
        span.at += 8
        return PyFloat_FromDouble(real)
    if kind == UINT64:
        return get_varint(span)
    if kind == ENUM:
        value = column.by_number.get(get_varint(span))
        if value is None:
            raise Unfit("no member")
        return value
    if kind == BOOL:
        raw = get_varint(span)
        if raw > 1:
            raise Unfit("no bool")
        return raw == 1
    stop = get_block(span)
    start, span.at = span.at, stop
    if kind == STRING:
        return PyUnicode_DecodeUTF8(<const char*>start, stop - start, NULL)
    if kind == RECORD:
        return get_record(column.record, start, stop)
    if kind == UNION:
        return get_union(column, start, stop)
    if kind == ID and stop - start != ID_BYTES:
        raise Unfit("no id")
    return PyBytes_FromStringAndSize(<const char*>start, stop - start)


cdef object get_union(Column column, const unsigned char* start, const unsigned char* stop):
    cdef Span span
    cdef uint64_t tag
    cdef const unsigned char* last
    span.at, span.end = start, stop
    tag = get_varint(&span)
    layout = column.by_number.get(tag >> 3) if tag & 7 == LENGTH else None
    if layout is None:
        raise Unfit("no record of this union")
    last = get_block(&span)
    if last != stop:
        raise Unfit("more than one record")
    return get_record(<Layout>layout, span.at, last)
