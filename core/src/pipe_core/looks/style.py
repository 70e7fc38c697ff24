"""How a page looks: in light, in dark and on paper."""

from __future__ import annotations

from typing import Final

LIGHT: Final = {
    "paper": "#f4f6f8",
    "card": "#fff",
    "ink": "#17202c",
    "soft": "#566273",
    "line": "#dde3ea",
    "track": "#e9edf2",
    "read": "#2f6fde",
    "expanded": "#8453d6",
    "valid": "#158a63",
    "failed": "#d03b33",
    "dropped": "#8793a3",
    "warn": "#a86200",
    "shade": "#0000001a",
}
"""Colours by what they are for; pictures have the same."""

DARK: Final = {
    "paper": "#10151c",
    "card": "#19212b",
    "ink": "#e7ecf2",
    "soft": "#9caabb",
    "line": "#2c3744",
    "track": "#26303c",
    "read": "#5e97f6",
    "expanded": "#a981f0",
    "valid": "#36b68b",
    "failed": "#f2695f",
    "dropped": "#738195",
    "warn": "#e8a33d",
    "shade": "#0006",
}


def _variables(colours: dict[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in colours.items())


_COLOURS: Final = f"""
:root{{color-scheme:light dark;{_variables(LIGHT)}}}
@media screen and (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}
"""

STYLE: Final = (
    _COLOURS
    + """*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%;overflow-wrap:anywhere}
main{max-width:66rem;margin:0 auto;padding:2.25rem 1.25rem 3rem}
h1{font-size:1.75rem;line-height:1.2;margin:0;overflow-wrap:anywhere}
h2{font-size:1.125rem;margin:0 0 .85rem}
p{margin:0 0 .75rem}
header p{margin:.75rem 0 0;max-width:56rem}.lead b{font-weight:650}
.over{color:var(--soft);font-size:.875rem;margin:0 0 .35rem;max-width:none}
.title{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center}
.lead{font-size:1.125rem}
.badge{padding:.15rem .75rem;border-radius:2rem;border:1.5px solid;font-weight:600;font-size:.875rem}
.badge.valid,.good{color:var(--valid)}.badge.failed,.bad{color:var(--failed)}.badge.warn{color:var(--warn)}
.badge.dropped{color:var(--soft)}.badge.read{color:var(--read)}
section,.tiles>div{background:var(--card);border:1px solid var(--line);border-radius:.75rem}
section{padding:1.25rem 1.4rem;margin-top:1.1rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:1.1rem;margin:1.5rem 0 0}
.tiles>div{padding:.85rem 1.1rem}
.tiles dt,.tiles small{color:var(--soft);font-size:.875rem}
.tiles dd{margin:0;font-size:1.65rem;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums}
.tiles small{display:block;font-weight:400;line-height:1.4}
.equation{font-size:1.0625rem;font-variant-numeric:tabular-nums}
.stack{display:flex;gap:2px;height:1.6rem;border-radius:.4rem;overflow:hidden;background:var(--track);margin:0 0 .55rem}
.stack i{min-width:4px;flex-basis:0}
.bar{display:block;height:.8rem;min-width:6rem;border-radius:.25rem;background:var(--track);overflow:hidden}
.bar i{display:block;height:100%;min-width:3px;border-radius:.25rem}
i.read,.key.read{background:var(--read)}i.expanded,.key.expanded{background:var(--expanded)}
i.valid,.key.valid{background:var(--valid)}i.dropped,.key.dropped{background:var(--dropped)}
i.failed,.key.failed{background:var(--failed) repeating-linear-gradient(135deg,#0000 0 5px,var(--shade) 5px 9px)}
.key{display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;margin-right:.55rem;vertical-align:-.06rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9375rem}
caption{text-align:left;color:var(--soft);font-size:.875rem;padding-bottom:.5rem}
th{text-align:left;font-weight:600;color:var(--soft);font-size:.8125rem;white-space:nowrap}
th,td{padding:.5rem 1.1rem .5rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
tbody tr:last-child td{border-bottom:0}th:last-child,td:last-child{padding-right:0}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;width:1%}
.name{white-space:nowrap;width:1%}.draw{width:24%;padding-top:.82rem}th.draw{padding-top:.5rem}
.where{width:22%}td small{color:var(--soft);white-space:nowrap;margin-left:.35rem}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.875em}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0}
ul{margin:0;padding-left:1.2rem}li+li{margin-top:.3rem}
td ul{list-style:none;padding:0}td li{color:var(--soft)}td li+li{margin:0}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.9rem 2rem;margin:0}
.facts dt{color:var(--soft);font-size:.875rem}.facts dd{margin:0;overflow-wrap:anywhere}
.alarm{border-color:var(--failed);border-left-width:.4rem}
footer{color:var(--soft);font-size:.875rem;margin-top:1.5rem}
@media (max-width:40rem){main{padding:1.25rem .75rem 2rem}section{padding:1rem}.draw{display:none}}
@media print{@page{margin:14mm 12mm}
:root{color-scheme:light;--paper:#fff;font-size:11.5px}main{max-width:none;padding:1px}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}.tiles{grid-template-columns:repeat(4,1fr)}
tr,.tiles,.facts>div,.whole{break-inside:avoid}h2,caption,thead{break-after:avoid}.wide{overflow:visible}}
"""
)
