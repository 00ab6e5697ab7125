"""How are prices, quantities and money counted? In integers: ticks, lots and minor units.

One minor unit is 1e-8 of a currency. Products of prices and quantities are exact by construction
(`spec.ground` refuses an instrument whose tick times lot is no whole number of minor units), so
rounding happens only in fees, interest and cash in lieu, and each rounding has a name here.
"""

from __future__ import annotations

import re

MINOR_PER_UNIT = 100_000_000
"""Minor units in one unit of a currency."""

INT64_MAX = 2**63 - 1
MONEY_MAX = 2**62
"""Largest amount that books may hold; one bit below int64, so that one addition cannot overflow."""

PPM = 1_000_000
BPS = 10_000

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,14})(?:\.([0-9]{1,8}))?")


def parse_decimal(text: str) -> int:
    """Return a decimal string in 1e-8 steps.

    Raises: ValueError if *text* has a sign, an exponent, separators or more than 8 decimals.

    >>> parse_decimal("1000.50")
    100050000000
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(
            "write a decimal string without sign, exponent or separators and with at most "
            '8 decimals, such as "1000.50"'
        )
    whole, fraction = match[1], match[2] or ""
    return int(whole) * MINOR_PER_UNIT + int(fraction.ljust(8, "0"))


def format_decimal(value: int, *, decimals: int = 8) -> str:
    """Return *value*, in 1e-8 steps, as a decimal string; trailing zeros beyond 2 are cut.

    >>> format_decimal(100050000000)
    '1000.50'
    >>> format_decimal(-1)
    '-0.00000001'
    """
    sign, size = ("-", -value) if value < 0 else ("", value)
    whole, fraction = divmod(size, MINOR_PER_UNIT)
    digits = f"{fraction:08d}"[:decimals]
    while len(digits) > 2 and digits.endswith("0"):
        digits = digits[:-1]
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def mul_div_up(value: int, numerator: int, denominator: int) -> int:
    """Return value × numerator / denominator rounded up: against the contender, for charges.

    >>> mul_div_up(7, 1, 2)
    4
    """
    return -((-value * numerator) // denominator)


def mul_div_down(value: int, numerator: int, denominator: int) -> int:
    """Return value × numerator / denominator rounded down: against the contender, for credits.

    >>> mul_div_down(7, 1, 2)
    3
    """
    return (value * numerator) // denominator


def toward_zero(value: int, numerator: int, denominator: int) -> int:
    """Return value × numerator / denominator with its fraction cut.

    >>> toward_zero(-7, 1, 2)
    -3
    """
    product = value * numerator
    return product // denominator if product >= 0 else -(-product // denominator)


def checked(value: int, *, limit: int = MONEY_MAX) -> int:
    """Return *value* if its size is at most *limit*.

    Raises: OverflowError otherwise; nothing wraps in silence.
    """
    if -limit <= value <= limit:
        return value
    raise OverflowError(f"{value} is beyond {limit}")
