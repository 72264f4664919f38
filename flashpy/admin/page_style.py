"""The style of the status page."""

STYLE = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1c2330;--dim:#5d6878;--line:#e3e7ed;--track:#edf0f4;
--link:#0b57c2;--main:#0b57c2;--wash:#0b57c21f;--second:#d97706;--good:#12805c;--goodwash:#12805c1a;--bad:#c0392b;
--badwash:#c0392b1a;--warn:#a15c07;--warnwash:#d977061f;--shadow:0 1px 2px #1c23300d}
@media(prefers-color-scheme:dark){:root{--bg:#12151a;--card:#1a1e25;--text:#e4e8ee;--dim:#98a3b3;--line:#2a303a;
--track:#262c36;--link:#8ab8ff;--main:#6ea8ff;--wash:#6ea8ff26;--second:#f0a63a;--good:#4cc79a;--goodwash:#4cc79a24;
--bad:#ff7a6b;--badwash:#ff7a6b24;--warn:#f0b45a;--warnwash:#f0b45a24;--shadow:none}}
*{box-sizing:border-box}
body{margin:0;padding:2rem 1.5rem 3rem;background:var(--bg);color:var(--text);
font:.9375rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;font-variant-numeric:tabular-nums}
.top,main,footer,noscript{display:block;max-width:78rem;margin:0 auto}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:4px}
h1,h2,p,dl,dd{margin:0}
.top{display:flex;flex-wrap:wrap;align-items:center;gap:.4rem .9rem;margin-bottom:1.25rem}
h1{font-size:1.6rem;line-height:1.25;font-weight:650;letter-spacing:-.015em}
h1 small{font-size:.875rem;font-weight:400;color:var(--dim);letter-spacing:0}
.pill{display:inline-flex;align-items:center;gap:.45rem;padding:.16rem .7rem .16rem .6rem;border-radius:99px;
font-size:.8125rem;font-weight:600;color:var(--dim);background:var(--track)}
.pill:before{content:"";width:.5rem;height:.5rem;border-radius:50%;background:currentColor}
.pill.good{color:var(--good);background:var(--goodwash)}
.pill.warn{color:var(--warn);background:var(--warnwash)}
.pill.bad{color:var(--bad);background:var(--badwash)}
.facts{margin-left:auto;color:var(--dim);font-size:.8125rem;text-align:right}
.figures{display:grid;grid-template-columns:repeat(4,minmax(0,1fr));gap:1rem;margin-bottom:1rem}
.columns{display:grid;grid-template-columns:minmax(0,2fr) minmax(0,1fr);gap:1rem;align-items:start}
.column{display:grid;gap:1rem;min-width:0}
.card{min-width:0;padding:1rem 1.15rem 1.05rem;background:var(--card);border:1px solid var(--line);border-radius:12px;
box-shadow:var(--shadow)}
.card>header{display:flex;flex-wrap:wrap;align-items:baseline;justify-content:space-between;gap:.1rem 1rem;
margin-bottom:.6rem}
h2{font-size:.8125rem;font-weight:600;color:var(--dim)}
.card:not(.figure) h2{font-size:.9375rem;color:var(--text)}
.note{font-size:.8125rem;color:var(--dim)}
.figure{display:flex;flex-direction:column;padding-bottom:.8rem;overflow:hidden}
.big{margin:.1rem 0 .5rem;font-size:1.85rem;line-height:1.2;font-weight:620;letter-spacing:-.02em;white-space:nowrap}
.big small{font-size:.8125rem;font-weight:400;letter-spacing:0;color:var(--dim)}
.chart{display:block;height:3.75rem;width:calc(100% + 2.3rem);margin:0 -1.15rem;overflow:visible}
.chart path{fill:none;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.chart .area{fill:var(--wash)}
.chart .line{stroke:var(--main);stroke-width:1.75}
.chart .second{stroke:var(--second);stroke-width:1.25}
.under{display:flex;justify-content:space-between;gap:.75rem;margin-top:.55rem;font-size:.75rem;color:var(--dim)}
.under span:first-child{min-width:0}
.under span:last-child{white-space:nowrap}
.key{display:inline-block;width:.7rem;height:.2rem;margin-right:.35rem;border-radius:1px;vertical-align:middle;
background:var(--second)}
.scroll{overflow-x:auto;margin:0 -.35rem;padding:0 .35rem}
table{width:100%;border-spacing:0}
th,td{padding:.36rem 0 .36rem 1.1rem;text-align:right;white-space:nowrap}
th{font-size:.75rem;font-weight:500;color:var(--dim);padding-top:0}
td{border-top:1px solid var(--line)}
th:first-child,td:first-child{padding-left:0;text-align:left}
td.dim,.zero{color:var(--dim)}
td.text{text-align:left;white-space:normal;overflow-wrap:anywhere}
#stalls th:nth-child(2){text-align:left;width:100%}
#stalls td:nth-child(2){max-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;text-align:left}
#stalls td:first-child{text-align:right;font-weight:550}
#stalls th:first-child{text-align:right}
.meter{display:inline-block;width:5.5rem;height:.4rem;margin-left:.6rem;border-radius:99px;background:var(--track);
overflow:hidden;vertical-align:middle}
.meter i{display:block;height:100%;border-radius:99px;background:var(--main)}
table td.empty,dl .empty{grid-column:1/-1;text-align:left!important;font-weight:400!important;color:var(--dim)}
.bars{display:grid;grid-template-columns:max-content minmax(2rem,1fr) max-content;gap:.42rem .8rem;align-items:center}
.bars>div,.pairs>div{display:contents}
.bars dd:nth-of-type(1),.bars .bar{height:.5rem;border-radius:99px;background:var(--track);overflow:hidden}
.bar i{display:block;height:100%;min-width:0;border-radius:99px;background:var(--main)}
.bar.second i{background:var(--second)}
.bar.bad i{background:var(--bad)}
.bars dd:last-child{text-align:right}
.bars dt .dim,.dim{color:var(--dim)}
.pairs{display:grid;grid-template-columns:1fr max-content;gap:.38rem 1rem}
.pairs dd{text-align:right}
footer{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;margin-top:1.25rem;font-size:.8125rem}
@media(max-width:64rem){
.figures{grid-template-columns:repeat(2,minmax(0,1fr))}
.columns{grid-template-columns:minmax(0,1fr)}
}
@media(max-width:40rem){
body{padding:1.1rem .75rem 2rem;font-size:.875rem}
.top{margin-bottom:1rem}
.facts{flex:1 1 100%;margin:0;text-align:left}
.figures,.columns,.column{gap:.7rem}
.figures{margin-bottom:.7rem}
.card{padding:.8rem .9rem .9rem}
.chart{width:calc(100% + 1.8rem);margin:0 -.9rem;height:3rem}
.big{font-size:1.35rem}
.big small{display:block;font-size:.75rem;margin-top:.05rem}
.under{flex-direction:column;gap:0;font-size:.7rem}
.wide{display:none}
th,td{padding-left:.7rem}
.meter{display:none}
}
"""
