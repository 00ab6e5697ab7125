"""Where did a user's own code fail? Told by file and line, without the frames that are ours."""

from __future__ import annotations

from collections.abc import Iterator


def told(error: BaseException, module: str) -> str:
    """Return what *error* says and the last line of *module*'s own package that it came through.

    Where no line of that package took part, the last line of all is told.

    >>> told(ValueError("no"), "mine.trend")
    'ValueError: no'
    """
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    if isinstance(error, SystemExit):
        text = f"it called sys.exit({'' if error.code is None else error.code!r})"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}:{error.lineno})"
    frames = list(_frames(error))
    package = module.partition(".")[0]
    own = [place for name, place in frames if name.partition(".")[0] == package]
    last = own[-1:] or [place for _, place in frames[-1:]]
    return f"{text} ({last[0]})" if last else text


def _frames(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield module and `file:line in function` of every frame, the failing one last."""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        yield name, f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}"
        trace = trace.tb_next
