"""Adding a policy never allows more: whatever passes under all of them passes under each."""

from hypothesis import given, settings
from hypothesis import strategies as st
from risk_kit import Risk, policy

from titanflow.core.spec.words import Outcome, TimeInForce

amounts = st.one_of(st.none(), st.integers(1, 3_000).map(str))
counts = st.one_of(st.none(), st.integers(1, 12))
NUMBERS = {
    "minOrderQuantity": st.one_of(st.none(), st.integers(1, 5).map(str)),
    "maxOrderQuantity": amounts,
    "minOrderNotional": st.one_of(st.none(), st.integers(1, 5).map(str)),
    "maxOrderNotional": amounts,
    "priceCollarBps": st.one_of(st.none(), st.integers(1, 900)),
    "maxReferenceAgeSeconds": counts,
    "maxOpenOrders": counts,
    "maxPositionQuantity": amounts,
    "maxPositionNotional": amounts,
    "maxConcentrationBps": st.one_of(st.none(), st.integers(1, 5_000)),
    "allowShort": st.sampled_from([None, None, True, False]),
    "maxIntentAgeSeconds": counts,
    "maxOrdersPerSecond": counts,
    "maxOrdersPerDay": counts,
    "orderTypes": st.sampled_from([None, None, ["Limit"], ["Market", "Limit"]]),
    "timeInForce": st.sampled_from([None, None, ["Day", "GTC"], ["IOC"]]),
    "maxGrossExposure": amounts,
    "maxNetExposure": amounts,
    "maxLeverageBps": st.one_of(st.none(), st.integers(1, 10_000)),
    "minFreeCash": st.one_of(st.none(), st.integers(1, 9_999).map(str)),
    "maxTurnoverBpsPerDay": st.one_of(st.none(), st.integers(1, 9_999)),
    "maxDailyLoss": amounts,
    "maxDrawdownBps": st.one_of(st.none(), st.integers(50, 5_000)),
    "haltAfterRefusals": st.one_of(st.none(), st.integers(2, 6)),
    "onBreach": st.sampled_from(["Reduce", "CancelAll"]),
    "tradable": st.booleans(),
}
PAIRED = ("min", "maxOrder", "maxPosition", "maxNet")


@st.composite
def policies(draw):
    """Return a policy with a few limits; contradictory pairs are left out."""
    names = draw(st.lists(st.sampled_from(sorted(NUMBERS)), max_size=4, unique=True))
    values = {name: draw(NUMBERS[name]) for name in names}
    values = {name: value for name, value in values.items() if value is not None}
    on_breach = values.pop("onBreach", "Reduce")
    instruments = [{"symbol": "B", "tradable": values.pop("tradable", True)}]
    paired = [name for name in values if name.startswith(PAIRED) and isinstance(values[name], str)]
    for name in paired[1:]:
        del values[name]
    if paired:
        values.pop("maxGrossExposure", None)
    values.setdefault("maxOrdersPerDay", 100_000)
    return policy(limits=values, instruments=instruments, onBreach=on_breach)


orders = st.tuples(
    st.sampled_from("AB"), st.sampled_from([1, -1]), st.integers(1, 400),
    st.sampled_from([0, 0, 95, 99, 100, 101, 107]), st.sampled_from(list(TimeInForce)),
    st.integers(0, 3),
)  # fmt: skip


@settings(max_examples=150)
@given(
    first=policies(), second=policies(), tape=st.lists(orders, max_size=12), drop=st.integers(0, 30)
)
def test_adding_a_policy_never_allows_more(first, second, tape, drop):
    """Both worlds hold the same positions: only what both allow is filled in both."""
    worlds = Risk(first), Risk(first, second)
    for risk in worlds:
        risk.bar(100)
        risk.bar(100, "B")
    for number, (symbol, side, lots, limit, tif, age) in enumerate(tape):
        answers = []
        for risk in worlds:
            risk.now += 400_000_000
            decided = risk.now - age * 10**9
            changes = {"symbol": symbol, "time_in_force": tif, "decided_at": decided}
            name = f"x{number}"
            answers.append(risk.ask("ann", side, lots, limit, client_order_id=name, **changes))
            if number == 6:
                risk.bar(100 - drop, symbol)
        loose, strict = answers

        if strict.outcome is Outcome.ALLOW:
            # A looser world may have spent what the stricter one kept; only the law is compared.
            spent = loose.rule in {
                "rate", "per-day", "open-orders", "position-lots", "position-notional", "gross",
                "net", "concentration", "turnover", "cash", "leverage", "short", "runaway",
            }  # fmt: skip
            assert loose.outcome is Outcome.ALLOW or spent
        elif loose.outcome is Outcome.ALLOW:
            worlds[0].end(f"x{number}")
