"""Which commands are there? Each is a few lines here; its work is imported when it is called.

So `titanflow --help` costs no more than the command-line library itself.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from titanflow.cli import exits
from titanflow.cli.output import Format, say

app = typer.Typer(
    name="titanflow",
    help="An arena where trading models compete: enforced risk, one shared book, verifiable "
    "records. Start with: titanflow up",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
session_app = typer.Typer(help="Sessions on this machine.", no_args_is_help=True)
contender_app = typer.Typer(help="Contenders of a folder of manifests.", no_args_is_help=True)
data_app = typer.Typer(
    help="Market data: what there is, and whether it is sound.", no_args_is_help=True
)
app.add_typer(session_app, name="session")
app.add_typer(contender_app, name="contender")
app.add_typer(data_app, name="data")
bundle_app = typer.Typer(
    help="Bundles: signed archives of models as ONNX graphs.", no_args_is_help=True
)
app.add_typer(bundle_app, name="bundle")
tls_app = typer.Typer(help="Certificates for `titanflow up --tls`.", no_args_is_help=True)
app.add_typer(tls_app, name="tls")

Output = Annotated[Format, typer.Option("-o", "--output", help="How to write the result.")]
Folder = Annotated[
    Path | None,
    typer.Option("-f", "--filename", help="Folder or file of manifests. Default: the example."),
]
SessionName = Annotated[
    str, typer.Argument(help="Session id, the beginning of one, a path, or @latest.")
]


@app.command()
def up(
    folder: Folder = None,
    once: Annotated[
        bool, typer.Option("--once", help="Run to the end, verify, and wait for nobody.")
    ] = False,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Seconds of market time in a second; 0 is lock step, as fast as that goes. "
            "Without it, the Arena's clock.replay.speed.",
        ),
    ] = None,
    shape: Annotated[
        str,
        typer.Option(
            help="How the stages are cut into pods: colocated, split, sharded, apart or whole."
        ),
    ] = "colocated",
    shards: Annotated[
        int, typer.Option(min=1, help="Of the shape sharded: how many pods decide, and trade.")
    ] = 1,
    tls: Annotated[
        Path | None,
        typer.Option(
            help="Ask and answer under mutual TLS, by the certificates in this folder; an empty "
            "or missing one becomes an authority."
        ),
    ] = None,
) -> None:
    """Run an arena as pods on a NATS server of its own, with a live view; Ctrl-C pauses it."""
    from titanflow.cli.live import up as run

    run(folder, once=once, speed=speed, shape=shape, shards=shards, tls=tls)


@app.command()
def down(
    purge: Annotated[
        bool, typer.Option("--purge", help="Also delete what a session that has not ended keeps.")
    ] = False,
) -> None:
    """Stop the arena that runs here; it goes on with the next `titanflow up`."""
    from titanflow.cli.live import down as run

    run(purge=purge)


@app.command()
def status(output: Output = Format.TABLE) -> None:
    """Show the arena that runs here: pods, latencies, how far it is."""
    from titanflow.cli.live import status as run

    run(output)


Scope = Annotated[
    str, typer.Argument(help="How far it reaches: arena, contender, policy or instrument.")
]
ScopeName = Annotated[str, typer.Argument(help="Which one; none for the arena.")]
Reason = Annotated[str, typer.Option(help="Why; it goes into the record.")]
By = Annotated[
    str,
    typer.Option(
        help="Who commands; under TLS, whose certificate. Default: the user of this machine."
    ),
]
Token = Annotated[
    str,
    typer.Option(help="Names the command: again it is the same one. Default: the time."),
]


@app.command()
def kill(
    scope: Scope,
    name: ScopeName = "",
    reason: Reason = ...,  # type: ignore[assignment] # typer's word for required
    action: Annotated[str, typer.Option(help="RejectNew, CancelAll or Flatten.")] = "CancelAll",
    instrument: Annotated[
        list[str] | None, typer.Option(help="Narrow an arena's or contender's switch to these.")
    ] = None,
    by: By = "",
    token: Token = "",
    output: Output = Format.TABLE,
) -> None:
    """Stop trading: exit 0 when it is in the record, 6 if refused, 8 if nobody answers."""
    from titanflow.cli.command import Said
    from titanflow.cli.command import kill as run
    from titanflow.cli.live import running

    run(running(), (scope, name), action, instrument or [], Said(reason, by, token, output))


@app.command()
def release(
    scope: Scope,
    name: ScopeName = "",
    reason: Reason = ...,  # type: ignore[assignment] # as above
    by: By = "",
    token: Token = "",
    output: Output = Format.TABLE,
) -> None:
    """Release a kill switch, as another person than who engaged it: exit codes as `kill`."""
    from titanflow.cli.command import Said
    from titanflow.cli.command import release as run
    from titanflow.cli.live import running

    run(running(), (scope, name), Said(reason, by, token, output))


@app.command()
def pause(
    reason: Reason = ...,  # type: ignore[assignment] # as above
    by: By = "",
    token: Token = "",
    output: Output = Format.TABLE,
) -> None:
    """Let no new instant of the market begin; what rests stays. It is no kill switch."""
    from titanflow.cli.command import Said
    from titanflow.cli.command import pause as run
    from titanflow.cli.live import running

    run(running(), Said(reason, by, token, output))


@app.command()
def resume(
    reason: Reason = ...,  # type: ignore[assignment] # as above
    by: By = "",
    token: Token = "",
    output: Output = Format.TABLE,
) -> None:
    """Let the market go on after a pause."""
    from titanflow.cli.command import Said
    from titanflow.cli.command import resume as run
    from titanflow.cli.live import running

    run(running(), Said(reason, by, token, output))


@app.command()
def logs(
    pod: Annotated[str, typer.Argument(help="Which pod. Default: all.")] = "",
    lines: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many of each.")] = 20,
) -> None:
    """Show the last lines that pods have logged."""
    from titanflow.cli.live import logs as run

    run(pod, lines)


@app.command(hidden=True)
def pod(
    session: Annotated[Path, typer.Option(help="Folder of the live session.")],
    name: Annotated[str, typer.Option(help="Which pod of its topology.")] = "",
    stages: Annotated[
        str, typer.Option(help="Or by what it hosts: risk,execution,ledger and so on.")
    ] = "",
    shard: Annotated[str, typer.Option(help="Which part of them, such as 0/1.")] = "0/1",
) -> None:
    """Run one pod of a live session; `titanflow up` starts them."""
    from titanflow.cli.live import pod as run

    run(session, name, stages, shard)


@app.command()
def replay(
    folder: Folder = None,
    output: Output = Format.TABLE,
    report: Annotated[
        Path | None, typer.Option(help="Also write one self-contained HTML page here.")
    ] = None,
    controls: Annotated[
        Path | None, typer.Option(help="YAML list of kill-switch requests at given times.")
    ] = None,
    source: Annotated[
        str, typer.Option("--from", help="Derive this session of pods again, turn by turn.")
    ] = "",
) -> None:
    """Run a folder of manifests over its data, as fast as the machine goes, and keep the record."""
    if source:
        if folder is not None or controls is not None:
            from titanflow.cli import exits
            from titanflow.cli.output import fail

            fail(
                "--from takes manifests and requests from the session: leave out -f and --controls",
                exits.USAGE,
            )
        from titanflow.cli.live import replay_session

        replay_session(source, output, report)
        return
    from titanflow.cli.show import replay as run

    run(folder, output, report, controls)


@app.command()
def verify(session: SessionName = "@latest", output: Output = Format.TABLE) -> None:
    """Derive a session again, compare record and docket: exit 0, 9 if one differs, 8 if cut off."""
    from titanflow.cli.inspect import verify as run

    run(session, output)


@app.command()
def reconcile(session: SessionName = "@latest", output: Output = Format.TABLE) -> None:
    """Compute every book anew from the fills and compare: exit 0, 9 if one differs."""
    from titanflow.cli.reconcile import reconcile as run

    run(session, output)


@app.command()
def docket(session: SessionName = "@latest", output: Output = Format.TABLE) -> None:
    """Show what was asked of governance and how it was ruled: exit 0, 9 if an entry was altered."""
    from titanflow.cli.docket import show as run

    run(session, output)


@app.command()
def leaderboard(session: SessionName = "@latest", output: Output = Format.TABLE) -> None:
    """Show the standings of a session, as its journal holds them."""
    from titanflow.cli.inspect import leaderboard as run

    run(session, output)


@app.command()
def why(
    decision: Annotated[
        str,
        typer.Argument(
            help="Id, or its beginning, of any recorded fact: intent, verdict, "
            "order, fill, state change, split. Leave out to name a time."
        ),
    ] = "",
    session: SessionName = "@latest",
    named: Annotated[
        str, typer.Option("--session", help="The session, where no decision is named by its id.")
    ] = "",
    contender: Annotated[str, typer.Option(help="Whose decision (also HOLD).")] = "",
    symbol: Annotated[str, typer.Option(help="Of which instrument.")] = "",
    at: Annotated[str, typer.Option(help="At which date or time (UTC).")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Explain a decision: inputs, parts of the score, checks, orders, fills, result, lineage."""
    from titanflow.cli.explain import why as run

    run(decision, named or session, (contender, symbol, at), output)


@app.command()
def doctor(output: Output = Format.TABLE) -> None:
    """Check this machine and say what to do where something is missing."""
    from titanflow.cli.inspect import doctor as run

    run(output)


@app.command()
def version(output: Output = Format.TABLE) -> None:
    """Show the version and the digest of the code that decides results."""
    from titanflow.cli.inspect import version as run

    run(output)


@session_app.command("list")
def session_list(output: Output = Format.TABLE) -> None:
    """List the sessions, oldest first."""
    from titanflow.cli.inspect import session_list as run

    run(output)


@session_app.command("show")
def session_show(session: SessionName = "@latest", output: Output = Format.TABLE) -> None:
    """Show what a session was and how many facts of each kind it holds."""
    from titanflow.cli.inspect import session_show as run

    run(session, output)


@session_app.command("facts")
def session_facts(
    session: SessionName = "@latest",
    kind: Annotated[str, typer.Option(help="Only this kind, such as Verdict or Fill.")] = "",
    contender: Annotated[str, typer.Option(help="Only of this contender.")] = "",
    text: Annotated[
        str, typer.Option(help="Only where the text holds this, such as REDUCING.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 20,
    output: Output = Format.TABLE,
) -> None:
    """List recorded facts with their ids, for `titanflow why`."""
    from titanflow.cli.inspect import session_facts as run

    run(session, (kind, contender, text), limit, output)


@session_app.command("size")
def session_size(session: SessionName = "@latest", output: Output = Format.TABLE) -> None:
    """Show how much disk a session takes."""
    from titanflow.cli.inspect import session_size as run

    run(session, output)


@session_app.command("rm")
def session_rm(
    session: Annotated[str, typer.Argument(help="Session id or the beginning of one.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a session for good."""
    from titanflow.cli.inspect import session_rm as run

    run(session, yes=yes)


@contender_app.command("list")
def contender_list(folder: Folder = None, output: Output = Format.TABLE) -> None:
    """List the contenders of a folder: recipe, tier, policies, recipe hash."""
    from titanflow.cli.inspect import contender_list as run

    run(folder, output)


@contender_app.command("check")
def contender_check(
    name: Annotated[str, typer.Argument(help="A contender's name in the folder.")],
    folder: Folder = None,
    output: Output = Format.TABLE,
) -> None:
    """Run the suite of checks that every contender must pass: exit 0, or 6 if one fails."""
    from titanflow.cli.inspect import contender_check as run

    run(name, folder, output)


@data_app.command("list")
def data_list(output: Output = Format.TABLE) -> None:
    """List the bundled data sets with source, licence and digest."""
    from titanflow.cli.data import data_list as run

    run(output)


@data_app.command("check")
def data_check(
    source: Annotated[
        str, typer.Argument(help="Name of a bundled data set, or a CSV or Parquet file.")
    ] = "us-stocks-2000-2013",
    output: Output = Format.TABLE,
) -> None:
    """Run the quality gate over a source: exit 0, or 6 if bars were quarantined."""
    from titanflow.cli.data import data_check as run

    run(source, output)


BundleName = Annotated[
    str, typer.Argument(help="An archive's file, or the name of a ModelBundle in the folder.")
]
Keys = Annotated[
    list[Path] | None,
    typer.Option("--keys", help="Folder of trusted public keys; the folder's own come after."),
]


@bundle_app.command("keygen")
def bundle_keygen(
    key_id: Annotated[str, typer.Argument(help="What the key is called.")],
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to. Default: .titanflow/keys.")
    ] = None,
) -> None:
    """Make a pair of ed25519 keys: KEY.key to sign with, KEY.pub to be trusted."""
    from titanflow.cli.bundle import keygen as run

    run(key_id, folder)


@bundle_app.command("build")
def bundle_build(
    folder: Annotated[
        Path, typer.Argument(help="Folder with model.onnx, manifest.json and golden.f32.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to. Default: .titanflow/bundles.")
    ] = None,
) -> None:
    """Pack a graph of your own into an archive: exit 6 if a check refuses it."""
    from titanflow.cli.bundle import build as run

    run(folder, out)


@bundle_app.command("sign")
def bundle_sign(
    archive: Annotated[Path, typer.Argument(help="The archive's file.")],
    key: Annotated[Path, typer.Option("--key", help="File of the private key.")],
    key_id: Annotated[
        str, typer.Option("--key-id", help="Name of the key. Default: that of the file.")
    ] = "",
) -> None:
    """Sign the SHA-256 of an archive; the signature is written beside it."""
    from titanflow.cli.bundle import sign_file as run

    run(archive, key, key_id)


@bundle_app.command("use")
def bundle_use(
    archive: Annotated[Path, typer.Argument(help="The archive's file, its signature beside it.")],
    output: Output = Format.TABLE,
) -> None:
    """Let the running serving pod take a bundle under its name: exit 6 if a step refuses it."""
    from titanflow.cli.bundle import use as run

    run(archive, output)


@bundle_app.command("verify")
def bundle_verify(
    bundle: BundleName,
    folder: Folder = None,
    keys: Keys = None,
    output: Output = Format.TABLE,
) -> None:
    """Take every step from signature to golden vectors: exit 0, or 6 if one refuses."""
    from titanflow.cli.bundle import verify as run

    run(bundle, folder, keys or [], output)


@bundle_app.command("list")
def bundle_list(folder: Folder = None, output: Output = Format.TABLE) -> None:
    """List the bundles of a folder of manifests, and those made on this machine."""
    from titanflow.cli.bundle import list_all as run

    run(folder, output)


@bundle_app.command("show")
def bundle_show(
    bundle: BundleName,
    folder: Folder = None,
    keys: Keys = None,
    output: Output = Format.TABLE,
    manifest: Annotated[
        bool, typer.Option("--manifest", help="Write the ModelBundle for it, as YAML.")
    ] = False,
) -> None:
    """Show features, output, lineage and measures of a bundle, the naive forecast beside them."""
    from titanflow.cli.bundle import show as run

    run(bundle, folder, keys or [], output, manifest=manifest)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe, such as examples/models/lightgbm.yaml.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to. Default: .titanflow/bundles.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Private key to sign with.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Train a model on bundled data and pack it as a bundle. Needs the extra `train`."""
    from titanflow.cli.bundle import train as run

    run(recipe, out, key, output)


@tls_app.command("issue")
def tls_issue(
    names: Annotated[list[str], typer.Argument(help="Who gets one: people, or pods.")],
    folder: Annotated[Path, typer.Option("--tls", help="The folder that `up --tls` is given.")],
    host: Annotated[
        list[str] | None,
        typer.Option(help="Address or name where a pod is reached. Default: this machine's."),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Make keys and certificates; who holds one is known by its name, so keep the keys secret."""
    from titanflow.cli.tls import issue_all as run

    run(names, folder, host or [], output)


def main() -> NoReturn:
    """Run the command; turn every expected error into words and an exit code."""
    from titanflow.core.base.errors import NotFoundError, SpecError, TitanFlowError

    try:
        app(standalone_mode=True)
    except SpecError as error:
        for problem in error.problems:
            say(f"error: {problem}")
        sys.exit(exits.NOT_FOUND if isinstance(error, NotFoundError) else exits.USAGE)
    except TitanFlowError as error:
        say(f"error: {error}")
        sys.exit(exits.ERROR)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(exits.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(exits.ERROR)
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        do = "run `titanflow doctor`; TITANFLOW_HOME names the folder of all state"
        say(f"error: {about}{error.strerror or error}; {do}")
        sys.exit(exits.ERROR)
    sys.exit(exits.OK)


if __name__ == "__main__":
    main()
