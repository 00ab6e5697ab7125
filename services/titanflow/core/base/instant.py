"""How is time counted? In nanoseconds of UTC since 1970-01-01, as an integer.

The core has no clock: *now* is the `at` of the fact in hand. Calendars enter as data.
"""

from __future__ import annotations

import re

NS_PER_SECOND = 1_000_000_000
NS_PER_MICRO = 1_000
NS_PER_DAY = 86_400 * NS_PER_SECOND

_RFC3339 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?"
    r"(?:([Zz])|([+-])(\d{2}):(\d{2})))?"
)


def days_from_civil(year: int, month: int, day: int) -> int:
    """Return days since 1970-01-01 of a Gregorian date.

    Source: Hinnant (2021), "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    """
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468


def civil_from_days(days: int) -> tuple[int, int, int]:
    """Return (year, month, day) of a count of days since 1970-01-01.

    Source: Hinnant (2021), civil_from_days.
    """
    days += 719_468
    era = days // 146_097
    day_of_era = days - era * 146_097
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + (3 if shifted < 10 else -9)
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def parse_instant(text: str) -> int:
    """Return the nanoseconds of an RFC 3339 time; a bare date is its midnight in UTC.

    Raises: ValueError if *text* is no time, or has a time of day without zone.

    >>> parse_instant("1970-01-02T00:00:00.5+00:30") == 84_600 * NS_PER_SECOND + 500_000_000
    True
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("write a UTC time such as 2026-11-21T09:30:00Z")
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    hour, minute, second = int(match[4] or 0), int(match[5] or 0), int(match[6] or 0)
    days = days_from_civil(year, month, day)
    if civil_from_days(days) != (year, month, day) or hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{text} is not a time of the calendar")
    offset = 0
    if match[9]:
        offset = (int(match[10]) * 60 + int(match[11])) * (1 if match[9] == "+" else -1)
    seconds = days * 86_400 + hour * 3_600 + (minute - offset) * 60 + second
    return seconds * NS_PER_SECOND + int((match[7] or "").ljust(9, "0") or 0)


def format_instant(at: int) -> str:
    """Return nanoseconds as RFC 3339 in UTC, with a fraction only when there is one.

    >>> format_instant(0)
    '1970-01-01T00:00:00Z'
    """
    seconds, fraction = divmod(at, NS_PER_SECOND)
    days, rest = divmod(seconds, 86_400)
    year, month, day = civil_from_days(days)
    tail = f".{fraction:09d}".rstrip("0") if fraction else ""
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}T{clock}{tail}Z"


def format_date(at: int) -> str:
    """Return the UTC date of an instant.

    >>> format_date(NS_PER_DAY)
    '1970-01-02'
    """
    return "{:04d}-{:02d}-{:02d}".format(*civil_from_days(at // NS_PER_DAY))


def session_day(at: int) -> int:
    """Return the day number to which an instant belongs: the UTC date of the moment before it.

    A bar that ends at midnight belongs to the day that it covers, hence the moment before.
    """
    return (at - 1) // NS_PER_DAY
