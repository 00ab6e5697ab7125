"""A whole session: what it records, that it repeats, and that verification believes nothing."""

import hashlib
import shutil
from pathlib import Path

import msgspec
import pytest
from kit import bars_csv, read_journal, small_folder, small_session, write_journal

from titanflow.core.base.errors import TitanFlowError
from titanflow.core.facts import Bar, Entry, Fill, Order, OrderUpdate, Standing, Verdict
from titanflow.core.spec.words import OrdStatus, Outcome
from titanflow.runtime.plan import prepare
from titanflow.runtime.record import Result, record_session
from titanflow.runtime.session import Session
from titanflow.runtime.sim import Driver
from titanflow.runtime.verify import Result as Found
from titanflow.runtime.verify import verify

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def session(tmp_path: Path, home: Path) -> Result:
    return small_session(tmp_path)[1]


def test_a_session_trades_and_verifies(session: Result) -> None:
    finding = verify(session.session.journal, session.plan.folder)

    assert finding.result is Found.VERIFIED, finding.text
    assert session.digest == finding.digest
    assert session.outcome.facts["Fill"] > 10
    assert session.outcome.broken == 0


def test_two_sessions_have_one_digest(session: Result, tmp_path: Path) -> None:
    other = record_session(prepare(session.plan.folder, None))

    assert session.digest == other.digest
    assert session.session.journal.read_bytes() == other.session.journal.read_bytes()


def test_manifest_files_renamed_give_one_digest(session: Result, tmp_path: Path) -> None:
    folder = small_folder(tmp_path / "renamed")
    names = sorted(folder.glob("*.yaml"))
    for number, path in enumerate(names):
        path.rename(folder / f"{len(names) - number:03d}.yaml")

    assert session.digest == record_session(prepare(folder, None)).digest


def test_every_invariant_holds_after_every_turn(tmp_path: Path, home: Path) -> None:
    plan = prepare(small_folder(tmp_path / "arena", 40), None)
    driver = Driver(plan, check_turns=1)
    events = list(plan.events())
    driver.begin(events[0].at)

    for event in events:
        driver.step(event)
    driver.end()

    assert driver.invariants.broken == 0
    assert driver.invariants.checked > len(events)


def test_no_order_trades_in_the_bar_it_was_decided_on(session: Result) -> None:
    _, facts = read_journal(session.session.journal)
    orders = {f.id: f for f in facts if isinstance(f, Order)}
    starts = {f.id: f.start for f in facts if isinstance(f, Bar)}
    fills = [f for f in facts if isinstance(f, Fill)]

    assert all(f.at >= orders[f.order].arrives_at for f in fills)
    assert all(starts[f.cause] >= orders[f.order].at for f in fills if f.cause in starts)


def test_the_bars_cap_is_shared_by_all(session: Result) -> None:
    _, facts = read_journal(session.session.journal)
    taken: dict[bytes, int] = {}
    volumes = {f.id: f.volume_lots for f in facts if isinstance(f, Bar)}
    for fill in facts:
        if isinstance(fill, Fill) and fill.counter == bytes(16):
            taken[fill.cause] = taken.get(fill.cause, 0) + fill.quantity_lots
    cap = session.plan.ground.fills.participation_bps

    assert taken
    assert all(lots <= volumes[bar] * cap // 10_000 for bar, lots in taken.items())


def test_every_fill_has_an_earlier_verdict(session: Result) -> None:
    _, facts = read_journal(session.session.journal)
    allowed: set[bytes] = set()
    orders: dict[bytes, bytes] = {}
    for fact in facts:
        if isinstance(fact, Verdict) and fact.outcome is Outcome.ALLOW:
            allowed.add(fact.id)
        elif isinstance(fact, Order):
            orders[fact.id] = fact.cause
        elif isinstance(fact, Fill):
            assert orders[fact.order] in allowed


def test_entries_rebuild_the_standings(session: Result) -> None:
    _, facts = read_journal(session.session.journal)
    cash: dict[str, int] = {}
    lots: dict[tuple[str, str], int] = {}
    closes = {f.symbol: f.close_ticks for f in facts if isinstance(f, Bar)}
    for entry in facts:
        if isinstance(entry, Entry):
            for account, sign in ((entry.debit, 1), (entry.credit, -1)):
                if account.value == "Cash":
                    cash[entry.contender] = cash.get(entry.contender, 0) + sign * entry.amount
            key = (entry.contender, entry.symbol)
            lots[key] = lots.get(key, 0) + entry.quantity_lots
    values = {i.symbol: i.tick_value for i in session.plan.ground.instruments}

    for standing in session.outcome.standings:
        held = sum(
            count * closes[symbol] * values[symbol]
            for (name, symbol), count in lots.items()
            if name == standing.contender and symbol
        )
        assert standing.equity == cash[standing.contender] + held


def forge(session: Result, kind: type, change: dict[str, object], path: Path) -> int:
    """Alter the last fact of a kind, make every checksum fit, return its record number."""
    head, facts = read_journal(session.session.journal)
    place = max(i for i, f in enumerate(facts) if type(f) is kind)
    facts[place] = msgspec.structs.replace(facts[place], **change)
    write_journal(path, head, facts)
    return place


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (Fill, {"price_ticks": 1}),
        (Fill, {"fee": 0}),
        (Entry, {"amount": 7}),
        (Verdict, {"limit": 123_456}),
        (Order, {"quantity_lots": 1}),
        (OrderUpdate, {"status": OrdStatus.CANCELED}),
        (Standing, {"rank": 77}),
        (Bar, {"close_ticks": 4321}),
    ],
)
def test_a_forged_fact_with_sound_checksums_is_named(
    session: Result, tmp_path: Path, kind: type, change: dict[str, object]
) -> None:
    place = forge(session, kind, change, tmp_path / "forged")

    finding = verify(tmp_path / "forged", session.plan.folder)

    assert finding.result is Found.MISMATCH
    blocks = place // 1023
    assert 0 <= finding.record - 1 - place <= blocks + 1
    assert kind.__name__ in finding.text


def test_a_fact_left_out_with_sound_checksums_is_named(session: Result, tmp_path: Path) -> None:
    head, facts = read_journal(session.session.journal)
    place = next(i for i, f in enumerate(facts) if isinstance(f, Fill))
    write_journal(tmp_path / "forged", head, facts[:place] + facts[place + 1 :])

    finding = verify(tmp_path / "forged", session.plan.folder)

    assert finding.result is Found.MISMATCH


def test_a_journal_closed_early_with_sound_checksums_is_found(
    session: Result, tmp_path: Path
) -> None:
    head, facts = read_journal(session.session.journal)
    write_journal(tmp_path / "forged", head, facts[:-1])

    assert verify(tmp_path / "forged", session.plan.folder).result is Found.MISMATCH


def test_a_cut_tail_verifies_to_its_last_whole_record(session: Result, tmp_path: Path) -> None:
    data = session.session.journal.read_bytes()
    for cut in (1, 40, 500, len(data) // 2):
        (tmp_path / "cut").write_bytes(data[:-cut])

        finding = verify(tmp_path / "cut", session.plan.folder)

        assert finding.result is Found.TORN, finding.text
        assert 0 < finding.facts <= sum(session.outcome.facts.values())


def test_changed_data_is_found_by_verification(session: Result) -> None:
    path = session.plan.folder / "bars.csv"
    path.write_text(bars_csv(60, seed=6))

    finding = verify(session.session.journal, session.plan.folder)

    assert any("has changed since: bars has now sha256" in note for note in finding.notes)
    assert any("taken as given" in note for note in finding.notes)
    assert finding.result is Found.VERIFIED

    path.unlink()
    finding = verify(session.session.journal, session.plan.folder)

    assert any("is not at hand" in note and "bars.csv" in note for note in finding.notes)
    assert finding.result is Found.VERIFIED


def test_a_head_with_another_digest_of_data_than_the_manifest_demands_is_found(
    tmp_path: Path, home: Path
) -> None:
    folder = small_folder(tmp_path / "arena")
    content = (folder / "bars.csv").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    text = (folder / "arena.yaml").read_text()
    (folder / "arena.yaml").write_text(
        text.replace("format: CSV", f"format: CSV, sha256: {sha256}")
    )
    result = record_session(prepare(folder, None))
    assert verify(result.session.journal, folder).result is Found.VERIFIED
    head, facts = read_journal(result.session.journal)
    assert ((head.data[0][0], sha256),) == head.data

    (folder / "bars.csv").unlink()  # so that only the head could tell
    other = msgspec.structs.replace(head, data=((head.data[0][0], "0" * 64),))
    write_journal(tmp_path / "forged", other, facts)
    finding = verify(tmp_path / "forged", folder)

    assert finding.result is Found.MISMATCH
    assert 0 == finding.record
    assert "the head's data is" in finding.text
    assert sha256 in finding.text


def test_a_head_with_another_digest_of_bundled_data_is_found(tmp_path: Path, home: Path) -> None:
    folder = shutil.copytree(ROOT / "examples/my_contender", tmp_path / "arena")
    text = (folder / "arena.yaml").read_text()
    season = 'season: {start: "2012-01-01T00:00:00Z", end: "2012-06-01T00:00:00Z"}'
    (folder / "arena.yaml").write_text(text.replace("  seed: 7\n", f"  seed: 7\n  {season}\n"))
    result = record_session(prepare(folder, None))
    head, facts = read_journal(result.session.journal)
    assert len(facts) > 100

    other = msgspec.structs.replace(head, data=((head.data[0][0], "ab" * 32),))
    write_journal(tmp_path / "forged", other, facts)
    finding = verify(tmp_path / "forged", folder)

    assert finding.result is Found.MISMATCH
    assert 0 == finding.record
    assert "ab" * 32 in finding.text


def test_an_interrupted_session_verifies_to_its_last_record(tmp_path: Path, home: Path) -> None:
    plan = prepare(small_folder(tmp_path / "arena", 600), None)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_session(plan, stop)
    journal = next(home.glob("sessions/*/journal.tfj"))

    finding = verify(journal, plan.folder)

    assert finding.result is Found.TORN
    assert finding.facts > 100


@pytest.mark.parametrize("moment", ["write_card", "held"])
def test_a_session_that_ends_before_its_record_leaves_nothing(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    plan = prepare(small_folder(tmp_path / "arena"), None)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Session, moment, stop)
        with pytest.raises(KeyboardInterrupt, match="before anything"):
            record_session(plan)

    assert [] == list((home / "sessions").iterdir())
    assert record_session(plan).session.journal.exists()


def test_a_session_without_events_is_refused(tmp_path: Path, home: Path) -> None:
    folder = small_folder(tmp_path / "arena", 2)
    (folder / "bars.csv").write_text("symbol,time,open,high,low,close,volume\n")

    with pytest.raises(TitanFlowError):
        record_session(prepare(folder, None))
