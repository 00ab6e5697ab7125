"""What does the report look like? Its style sheet: tokens for two themes, tables and pictures.

Contrast of text is at least 4.5 on its ground and of lines at least 3 in both themes; gain and
loss are told by arrow and sign, never by colour alone.
"""

from __future__ import annotations

_LIGHT = """
--bg:#f6f8fa;--surface:#fff;--raised:#eef2f6;--text:#1b232c;--muted:#52606d;--edge:#d0d7de;
--strong:#6e7781;--accent:#0a63c2;--gain:#00736b;--loss:#b5420a;
--c1:#0a63c2;--c2:#00736b;--c3:#8a6100;--c4:#8b3fc7;--c5:#b5420a;--c6:#b0306a;--c7:#4a7a00;
--c8:#3d4852;
"""
_DARK = """
--bg:#0b0f14;--surface:#121820;--raised:#18202a;--text:#e6edf3;--muted:#9aa7b4;--edge:#263241;
--strong:#64748b;--accent:#5cb3ff;--gain:#3fb8af;--loss:#ff8a5c;
--c1:#5cb3ff;--c2:#3fb8af;--c3:#e3b341;--c4:#d98cff;--c5:#ff8a5c;--c6:#f2a0b5;--c7:#9fd356;
--c8:#c9d1d9;
"""
_RULES = """
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);
font:13px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
font-variant-numeric:tabular-nums}
header,main{max-width:1280px;margin:0 auto;padding:0 24px}
header{padding-top:24px}
.brand{margin:0;font-size:16px;font-weight:600}
.badge{margin-left:8px;padding:2px 8px;border:1px solid var(--strong);border-radius:6px;
font-size:11px;font-weight:600;color:var(--muted);vertical-align:2px}
h1{margin:16px 0 4px;font-size:24px;line-height:1.25}
h2{margin:0 0 8px;font-size:16px}
p{margin:0 0 8px}
.lead{font-size:16px}
.muted,caption{color:var(--muted)}
section{margin:16px 0;padding:16px;background:var(--surface);border:1px solid var(--edge);
border-radius:6px}
.scroll{overflow-x:auto}
.tall{max-height:480px;overflow-y:auto}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
table{width:100%;border-collapse:collapse;white-space:nowrap}
caption{padding-bottom:8px;text-align:left;white-space:normal;font-size:12px}
th,td{height:32px;padding:0 12px;border-bottom:1px solid var(--edge);text-align:left;
font-weight:400}
th:first-child,td:first-child{padding-left:8px}
thead th{position:sticky;top:0;background:var(--raised);color:var(--muted);font-size:12px;
font-weight:600}
caption span{display:block;max-width:calc(100vw - 76px)}
tbody tr:last-child>*{border-bottom:0}
tbody th{font-weight:600}
#session td{white-space:normal;overflow-wrap:anywhere}
#session th:first-child{width:1%}
#incidents td:last-child{white-space:normal}
th.num,.num{text-align:right}
.gain{color:var(--gain)}
.loss{color:var(--loss)}
code{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
details{margin-top:8px}
summary{cursor:pointer;color:var(--accent)}
.skip{position:absolute;left:-999px}
.skip:focus{position:static}
.chart{overflow-x:auto}
.chart svg{display:block;width:100%;min-width:720px;height:auto}
.key{width:20px;height:8px;margin-right:4px}
.interval{width:104px;height:16px;vertical-align:-3px}
.interval .bar{stroke:var(--muted);stroke-width:1.5}
.interval .zero{stroke:var(--strong);stroke-dasharray:2 2}
.interval .dot{fill:var(--text)}
.line{fill:none;stroke-width:1.75;stroke-linejoin:round}
.dashed{stroke-dasharray:5 4}
.grid{stroke:var(--edge)}
.axis{stroke:var(--strong)}
.tick{fill:var(--muted);font-size:11px}
.name{font-size:12px;font-weight:600}
.line.s0{stroke:var(--strong);stroke-width:1}
@media (max-width:600px){header,main{padding:0 12px}section{padding:12px}}
@media print{section{break-inside:avoid}.tall{max-height:none}}
"""
_SERIES = "".join(
    f".line.s{n}{{stroke:var(--c{n})}}.name.s{n}{{fill:var(--c{n})}}" for n in range(1, 9)
)

STYLE = (
    f":root{{color-scheme:light dark;{_LIGHT}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}{_RULES}{_SERIES}"
)
