"""The style of a listing's page. Its digest is in the page's policy, so that no other applies."""

STYLE = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1c2330;--dim:#5d6878;--line:#e3e7ed;--hover:#f1f5fb;
--link:#0b57c2;--icon:#8a95a5;--folder:#e0a02c;--fill:#fbe6b8;--ring:#0b57c2}
@media(prefers-color-scheme:dark){:root{--bg:#12151a;--card:#1a1e25;--text:#e4e8ee;--dim:#98a3b3;--line:#2a303a;
--hover:#212732;--link:#8ab8ff;--icon:#768296;--folder:#d9a441;--fill:#4a3a17;--ring:#8ab8ff}}
*{box-sizing:border-box}
body{margin:0;padding:2.5rem 1.25rem 3rem;background:var(--bg);color:var(--text);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
header,main{max-width:60rem;margin:0 auto}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--ring);outline-offset:2px;border-radius:4px}
nav ol{display:flex;flex-wrap:wrap;margin:0;padding:0;list-style:none;font-size:.9rem}
nav li:after{content:"/";margin:0 .5em;color:var(--dim)}
h1{margin:.1rem 0 0;font-size:1.7rem;line-height:1.25;font-weight:650;letter-spacing:-.01em}
h1,li,td span{overflow-wrap:anywhere;white-space:pre-wrap}
.tools{display:flex;flex-wrap:wrap;align-items:center;gap:.6rem;margin:1rem 0}
.tools p{flex:1 1 auto;margin:0;color:var(--dim);font-size:.9rem}
.note{display:block}
form{display:flex;gap:.4rem}
input[type=search],button,.button{font:inherit;font-size:.9rem;line-height:1.4;padding:.35rem .8rem;color:var(--text);
background:var(--card);border:1px solid var(--line);border-radius:8px}
input[type=search]{flex:1;min-width:0;width:13rem}
button{cursor:pointer}
button:hover,a.button:hover{background:var(--hover);text-decoration:none}
[aria-disabled]{opacity:.45}
table{width:100%;border-spacing:0;background:var(--card);border:1px solid var(--line);border-radius:12px}
th{padding:.6rem .75rem;text-align:left;font-size:.8rem;font-weight:600;color:var(--dim);
border-bottom:1px solid var(--line);white-space:nowrap}
th a{color:inherit}
th[aria-sort=ascending] a:after{content:" \\2191"}
th[aria-sort=descending] a:after{content:" \\2193"}
th[aria-sort] a{color:var(--text)}
td{padding:0 .75rem;color:var(--dim);font-size:.9rem;font-variant-numeric:tabular-nums;white-space:nowrap}
tr+tr td{border-top:1px solid var(--line)}
tbody tr:hover{background:var(--hover)}
tbody tr:last-child td:first-child{border-bottom-left-radius:12px}
tr:last-child td:last-child{border-bottom-right-radius:12px}
th:first-child,td:first-child{width:100%;padding-left:1rem}
th:nth-child(2),td:nth-child(2){text-align:right}
th:last-child,td:last-child{padding-right:1rem}
td a{display:flex;align-items:flex-start;gap:.65rem;padding:.5rem 0;font-size:1rem}
td span{min-width:0}
svg{flex:none;width:1.25rem;height:1.25rem;margin-top:.125rem;fill:none;stroke:var(--icon);stroke-width:1.4;
stroke-linejoin:round;stroke-linecap:round}
.icons{display:none}
#d path{fill:var(--fill);stroke:var(--folder)}
.up a{color:var(--dim)}
.empty{margin:2.5rem 0;text-align:center;color:var(--dim)}
.pages{display:flex;flex-wrap:wrap;justify-content:center;align-items:center;gap:.4rem;margin:1.25rem 0}
.pages [aria-current]{margin:0 .6rem;font-size:.9rem;color:var(--dim)}
@media(max-width:40rem){
body{padding:1.25rem .75rem 2rem}
h1{font-size:1.4rem}
.tools p,form{flex:1 1 100%}
thead tr{display:flex;padding:0 .25rem;border-bottom:1px solid var(--line)}
th{border:0}
th:first-child{flex:1}
tbody tr{display:grid;grid-template-columns:auto 1fr;padding:.55rem 1rem .6rem;border-top:1px solid var(--line)}
tbody tr:first-child,tr+tr td{border-top:0}
td,td:first-child,td:last-child{padding:0;width:auto}
td:first-child{grid-column:1/-1}
td a{padding:0 0 .1rem}
td:nth-child(2){padding-left:1.9rem;text-align:left}
td:nth-child(2):not(:empty):after{content:"\\b7";padding:0 .4rem}
td:nth-child(2),td:last-child{font-size:.8rem}
}
"""
