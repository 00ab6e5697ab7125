"""What a user is told when something is missing, wrong or broken, and with which exit code."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from kit import bars_csv, contender, read_journal, small_folder, write_journal

from titanflow.cli import exits
from titanflow.cli.main import main
from titanflow.core.base.errors import NotFoundError
from titanflow.core.facts import Entry, Fill, Standing
from titanflow.runtime import session as sessions
from titanflow.runtime.describe import difference
from titanflow.runtime.plan import prepare
from titanflow.runtime.record import Result, record_session
from titanflow.runtime.verify import verify
from titanflow.runtime.why import Question, explain

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    """Record one session; its state folder is named to whoever asks for `command`."""
    root = tmp_path_factory.mktemp("words")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TITANFLOW_HOME", str(root / "state"))
        yield record_session(prepare(small_folder(root / "arena"), None))


@pytest.fixture
def command(
    recorded: Result, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run the command in this process; return its exit code, stdout and stderr."""
    monkeypatch.setenv("TITANFLOW_HOME", str(recorded.session.path.parent.parent))
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["titanflow", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        said = capsys.readouterr()
        code = caught.value.code
        assert isinstance(code, int)
        return code, said.out, said.err

    return run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("leaderboard nosuch", "no session 'nosuch'"),
        ("verify nosuch", "no session 'nosuch'"),
        ("session rm nosuch", "no session 'nosuch'"),
        ("session facts nosuch", "no session 'nosuch'"),
        ("why deadbeefdead", "no recorded fact has an id that begins with deadbeefdead"),
        ("why --contender nobody --symbol AAA --at 2020-01-08", "no contender 'nobody'; one of"),
        ("why --contender crosss --symbol AAA --at 2020-01-08", "did you mean 'cross'?"),
        ("why --contender cross --symbol AAB --at 2020-01-08", "did you mean 'AAA'?"),
        ("why --contender cross --symbol AAA --at 1999-01-08", "decided nothing"),
        ("replay -f nosuch", "nosuch: no such file or folder; name a folder of manifests"),
        ("why deadbeef nosuch", "no session 'nosuch'"),
        ("why --session nosuch --contender cross --symbol AAA --at 2020-01-08", "no session"),
        ("contender check nosuch -f FOLDER", "no contender 'nosuch'"),
        ("contender check crosss -f FOLDER", "did you mean 'cross'?"),
        ("data check us-stocks-2000-2012", "did you mean 'us-stocks-2000-2013'?"),
        ("session facts --kind Fil", "no kind of fact 'Fil'; did you mean 'Fill'?"),
        ("session facts --contender crosss", "no contender 'crosss'; did you mean 'cross'?"),
    ],
)
def test_what_is_not_there_ends_with_3_and_the_nearest_words(
    command: Command, recorded: Result, arguments: str, words: str
) -> None:
    folder = str(recorded.plan.folder)

    code, _, err = command(*arguments.replace("FOLDER", folder).split())

    assert exits.NOT_FOUND == code
    assert words in err


def test_only_a_session_of_ours_that_has_ended_is_deleted(
    command: Command, recorded: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = tmp_path / "thesis"
    shutil.copytree(recorded.session.path, foreign)
    (recorded.session.path.parent / "link").symlink_to(foreign)
    monkeypatch.chdir(foreign)
    places = (str(foreign), ".", "./journal.tfj", "link")

    codes = [command("session", "rm", "--yes", place)[0] for place in places]
    (recorded.session.path.parent / "link").unlink()
    with recorded.session.held():
        card = recorded.session.card()
        recorded.session.write_card(msgspec.structs.replace(card, status="Running"))
        running = command("session", "rm", "--yes", recorded.session.name)
        recorded.session.write_card(card)

    assert [exits.USAGE] * 4 == codes
    assert (foreign / sessions.JOURNAL).exists()
    assert exits.USAGE == running[0]
    assert "the session is running" in running[2]
    assert recorded.session.journal.exists()


@pytest.mark.parametrize("option", ["-f", "--controls"])
def test_a_session_that_is_derived_again_takes_no_other_manifests(
    command: Command, option: str
) -> None:
    code, _, err = command("replay", "--from", "@latest", option, "nowhere")

    assert exits.USAGE == code
    assert "leave out -f and --controls" in err


def test_an_empty_name_names_no_session(command: Command, recorded: Result) -> None:
    code, _, err = command("session", "rm", "--yes", "")

    assert exits.NOT_FOUND == code
    assert "no session ''" in err
    assert recorded.session.journal.exists()


def test_a_wrong_question_still_ends_with_2(command: Command) -> None:
    assert exits.USAGE == command("why", "xyz")[0]
    assert exits.USAGE == command("why", "--contender", "cross")[0]


def test_a_state_folder_that_cannot_be_is_found_by_doctor(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path / "file" / "x"))
    code, out, _ = command("doctor", "-o", "json")

    state = next(row for row in json.loads(out) if row["what"] == "state folder")
    assert exits.UNHEALTHY == code
    assert not state["ok"]
    assert "Not a directory" in state["seen"]


def test_doctor_leaves_nothing_where_nothing_was(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path / "new" / "state"))

    assert exits.OK == command("doctor")[0]
    assert [] == list(tmp_path.iterdir())


def as_a_user() -> None:
    """Let the kernel's leave of root to read everything go with the next program."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; a user has none


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("doctor -o json", exits.UNHEALTHY),
        ("session list", exits.ERROR),
        ("verify", exits.ERROR),
        ("leaderboard", exits.ERROR),
        ("why deadbeef", exits.ERROR),
    ],
)
def test_a_state_folder_that_is_locked_is_told_in_words(
    tmp_path: Path, arguments: str, code: int
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o000)

    done = subprocess.run(
        [sys.executable, "-m", "titanflow.cli.main", *arguments.split()],
        env=os.environ | {"TITANFLOW_HOME": str(locked / "x"), "NO_COLOR": "1"},
        preexec_fn=as_a_user,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    locked.chmod(0o700)

    assert (code, "Traceback" in done.stderr) == (done.returncode, False), done.stderr
    assert "Permission denied" in done.stdout + done.stderr


BROKEN = '''\
"""A contender that fails."""

import sys


class Broken:
    """Fails."""

    features = ()

    def decide(self, view):
        """Fail."""
        return self._fail()

    def _fail(self):
        FAIL
'''
PYTHON = """\
apiVersion: titanflow.io/v1alpha1
kind: Contender
metadata: {name: broken}
spec: {tier: Paper, recipe: {kind: Python, python: {entryPoint: "MODULE:Broken"}}}
"""


def broken_folder(folder: Path, module: str, fail: str) -> Path:
    """Write the small arena with a contender whose decide() ends in *fail*."""
    small_folder(folder)
    (folder / f"{module}.py").write_text(BROKEN.replace("FAIL", fail))
    (folder / "broken.yaml").write_text(PYTHON.replace("MODULE", module))
    return folder


@pytest.mark.parametrize(
    ("module", "fail", "words"),
    [
        ("broken_a", 'raise RuntimeError("boom")', "decide() failed: RuntimeError: boom"),
        ("broken_b", "sys.exit(3)", "decide() failed: it called sys.exit(3)"),
        ("broken_c", 'int("x")', "invalid literal for int() with base 10: 'x'"),
    ],
)
def test_a_users_failure_is_told_with_its_file_and_line(
    command: Command, tmp_path: Path, module: str, fail: str, words: str
) -> None:
    folder = broken_folder(tmp_path / "arena", module, fail)

    code, _, err = command("replay", "-f", str(folder))
    checked, out, _ = command("contender", "check", "broken", "-f", str(folder), "-o", "json")

    where = f"({folder / module}.py:16 in _fail)"
    assert (exits.USAGE, exits.REFUSED) == (code, checked)
    assert f"{words} {where}; " in err
    assert any(f"{words} {where}" in row["text"] for row in json.loads(out))
    assert "traceback" not in err.lower() + out.lower()


def test_a_failure_to_learn_is_told_with_its_file_and_line(
    command: Command, tmp_path: Path
) -> None:
    fail = """from titanflow.core.contender.protocol import lean

        return lean(1.0)

    def learn(self, view, news):
        raise RuntimeError("late")
"""
    folder = broken_folder(tmp_path / "arena", "broken_d", fail)

    code, _, err = command("replay", "-f", str(folder))

    assert exits.USAGE == code
    assert f"learn() failed: RuntimeError: late ({folder}/broken_d.py:21 in learn); " in err


def test_a_missing_module_is_no_mismatch(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path / "state"))
    folder = broken_folder(tmp_path / "arena", "soon_gone", "return None")
    monkeypatch.syspath_prepend(str(folder))
    name = json.loads(command("replay", "-f", str(folder), "-o", "json")[1])["session"]
    (folder / "soon_gone.py").unlink()
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    monkeypatch.delitem(sys.modules, "soon_gone")

    code, out, err = command("verify", name)

    assert exits.NOT_FOUND == code
    assert "the module 'soon_gone' of a contender of this session is missing" in err
    assert "NOT what" not in out
    with pytest.raises(NotFoundError):
        verify(sessions.find(name).journal, folder)


def test_a_card_with_another_digest_is_noted(command: Command, recorded: Result) -> None:
    session = recorded.session
    card = session.card()
    session.write_card(msgspec.structs.replace(card, digest="0" * 64))
    try:
        code, _, err = command("verify", session.name)
        notes = json.loads(command("verify", session.name, "-o", "json")[1])["notes"]
    finally:
        session.write_card(card)

    assert exits.OK == code
    assert f"names another digest, {'0' * 64}" in err
    assert 1 == len(notes)
    assert [] == json.loads(command("verify", session.name, "-o", "json")[1])["notes"]


@pytest.mark.parametrize("source", [False, True])
def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    command: Command, recorded: Result, tmp_path: Path, source: bool
) -> None:
    former = len(sessions.sessions())
    what = ("--from", recorded.session.name) if source else ("-f", str(recorded.plan.folder))

    code, _, err = command("replay", *what, "--report", str(tmp_path / "none" / "x.html"))

    assert exits.USAGE == code
    assert "--report: " in err
    assert "cannot be written: No such file or directory" in err
    assert former == len(sessions.sessions())


def test_the_extra_that_training_needs_is_named(command: Command) -> None:
    assert "Needs the extra `train`" in " ".join(command("train", "--help")[1].split())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_session_that_was_killed_runs_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    folder = small_folder(tmp_path / "arena")
    (folder / "bars.csv").write_text(bars_csv(20_000))
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path / "state"))
    process = subprocess.Popen(
        [sys.executable, "-m", "titanflow.cli.main", "replay", "-f", str(folder)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + 60
    while time.monotonic() < until and not any(s.journal.exists() for s in sessions.sessions()):
        time.sleep(0.02)
    (session,) = sessions.sessions()
    before = session.card().status
    process.send_signal(number)
    process.wait(60)

    assert ("Running", "Interrupted") == (before, session.card().status)


def test_a_session_of_pods_without_a_supervisor_is_paused(tmp_path: Path) -> None:
    session = sessions.Session(tmp_path)
    session.write_card(sessions.Card("s", "a", "", "", "Running"))
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "topology.json").touch()
    without = session.card().status
    (tmp_path / "live" / "up.pid").write_text(f"{os.getpid()}\n")

    assert ("Paused", "Running") == (without, session.card().status)


def test_why_tells_a_fill_as_the_last_update(recorded: Result) -> None:
    _, facts = read_journal(recorded.session.journal)
    fill = next(f for f in facts if isinstance(f, Fill) and f.leaves_lots == 0)

    told = explain(recorded.session.journal, recorded.plan.folder, Question(fill.id.hex()))

    assert "last update: Filled" in told.sentence
    assert "last update: New" not in told.sentence


def test_why_tells_why_no_order_followed(recorded: Result) -> None:
    journal, folder = recorded.session.journal, recorded.plan.folder
    said = [
        explain(journal, folder, Question("", "cross", "AAA", f"2020-01-{day:02d}")).sentence
        for day in range(17, 31)
    ]

    flat = "No order followed: it wanted a position of 0 lots and had it already."
    assert any("thought SELL" in text and flat in text for text in said), said
    assert all("No order followed" in text or "last update" in text for text in said), said


def test_what_is_no_number_on_both_sides_is_no_difference(recorded: Result) -> None:
    standing = recorded.outcome.standings[0]
    assert isinstance(standing, Standing)
    one = msgspec.structs.replace(standing, win_rate=float("nan"), fills=1)
    other = msgspec.structs.replace(standing, win_rate=float("nan"), fills=2)

    assert difference(one, other).endswith(": fills is 1, must be 2")


def test_a_data_set_that_is_refused_leaves_no_session(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path / "state"))
    folder = small_folder(tmp_path / "arena")
    (folder / "bars.csv").write_text(bars_csv(20, symbols=("AAA",)))
    (folder / "more.yaml").write_text(contender("more", "Macd"))

    code, _, err = command("replay", "-f", str(folder))

    assert exits.USAGE == code
    assert "arena.yaml:9: spec.instruments[1].symbol: " in err
    assert not (tmp_path / "state").exists()


def test_books_are_computed_anew_and_a_session_whose_books_do_not_follow_ends_with_9(
    command: Command, recorded: Result
) -> None:
    journal = recorded.session.journal
    honest = journal.read_bytes()
    head, facts = read_journal(journal)

    code, out, _ = command("reconcile", recorded.session.name, "-o", "json")
    assert exits.OK == code
    told = json.loads(out)
    assert sum(isinstance(fact, Fill) for fact in facts) == told["fills"] > 0
    assert 0 == told["differences"]

    place = next(n for n, fact in enumerate(facts) if isinstance(fact, Entry))
    facts[place] = msgspec.structs.replace(facts[place], amount=facts[place].amount + 1)
    try:
        journal.unlink()
        write_journal(journal, head, facts)
        code, out, err = command("reconcile", recorded.session.name)
    finally:
        journal.write_bytes(honest)
    assert exits.MISMATCH == code
    assert "do not follow from its fills" in err
    assert facts[place].cause.hex()[:12] in err
