"""Texts that would run, or break out of their place, if a page took them for more than text."""

PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "</title><script>alert(3)</script>",
    "</style><script>alert(4)</script>",
    "</textarea><img src=x onerror=alert(5)>",
    "<img src=x onerror=alert(6)>",
    '"><img src=x onerror=alert(7)>',
    "'><img src=x onerror=alert(8)>",
    '" onmouseover="alert(9)" x="',
    "' onfocus='alert(10)' autofocus='",
    "x onerror=alert(11) x=",
    "x` onload=`alert(12)",
    "<svg onload=alert(13)>",
    "<svg><script>alert(14)</script></svg>",
    "<svg><animate onbegin=alert(15) attributeName=x dur=1s>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(16)>",
    "<iframe srcdoc='<script>alert(17)</script>'>",
    "<details open ontoggle=alert(18)>",
    "<base href=https:evil>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(20)'>",
    "<form action=javascript:alert(21)><button>",
    "javascript:alert(22)",
    "data:text/html,<script>alert(23)</script>",
    "<!--><script>alert(24)</script-->",
    "]]><script>alert(25)</script><![CDATA[",
    "<!--<script>",
    "a\u2028alert(27)\u2029b",
    "${alert(28)}`${alert(28)}",
    "{{ alert(29) }}{% raw %}{{7*7}}",
    "%3Cscript%3Ealert(30)%3C/script%3E",
    "&lt;script&gt;alert(31)&lt;/script&gt;",
    "\\u003cscript\\u003ealert(32)\\x3c",
    "'+alert(33)+'\\';alert(33)",
    "\u202egnp<b>\u202c",
    "=cmd|' C'!A0",
    "$\\input{|id}$ \\write18{id} % }{",
)
"Without a newline, which a class name in a file cannot have; a `/` parts folders in a path."

assert len(set(PAYLOADS)) == len(PAYLOADS) >= 30

ARMED = (
    "[onerror],[onload],[onfocus],[onmouseover],[onbegin],[ontoggle],[srcdoc],img[src=x],iframe,"
    "base,form[action],svg script,svg animate,math mtext,[href^='javascript:' i],"
    "[src^='data:text'],meta[http-equiv=refresh]"
)
"What payloads would make, and no page of ours has."
