"""Every function a template may call, with the results its documentation promises."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.language.template import TemplateError, compile_text
from appliance.language.template.functions import FUNCTIONS, SHORT_CIRCUIT

TEXTS = {
    '{{ trim "   hello    " }}': "hello",
    '{{ trimAll "$" "$5.00" }}': "5.00",
    '{{ trimall "-x" "-x5x-" }}': "5",
    '{{ trimSuffix "-" "hello-" }}': "hello",
    '{{ trimPrefix "-" "-hello" }}': "hello",
    '{{ upper "hello ä" }}': "HELLO Ä",
    '{{ lower "HELLO" }}': "hello",
    '{{ title "hello world" }}': "Hello World",
    '{{ untitle "Hello World" }}': "hello world",
    '{{ swapcase "aB" }}': "Ab",
    '{{ repeat 3 "hello" }}': "hellohellohello",
    '{{ repeat -1 "hello" }}': "",
    '{{ substr 0 5 "hello world" }}': "hello",
    '{{ substr -1 5 "hello world" }}': "hello",
    '{{ substr 6 -1 "hello world" }}': "world",
    '{{ nospace "hello w o r l d" }}': "helloworld",
    '{{ trunc 5 "hello world" }}': "hello",
    '{{ trunc -5 "hello world" }}': "world",
    '{{ trunc 50 "hello world" }}': "hello world",
    '{{ abbrev 5 "hello world" }}': "he...",
    '{{ abbrev 3 "hello world" }}': "hello world",
    '{{ abbrevboth 5 10 "1234 5678 9123" }}': "...5678...",
    '{{ abbrevboth 20 10 "1234 5678 9123" }}': "...78 9123",
    '{{ initials "First Try" }}': "FT",
    '{{ wrap 5 "hello my extraordinary friend" }}': "hello\nmy\nextraordinary\nfriend",
    '{{ wrapWith 5 "\\t" "Hello World" }}': "Hello\tWorld",
    '{{ wrapWith 3 "|" "abcdefgh" }}': "abc|def|gh",
    '{{ contains "cat" "catch" }}': "true",
    '{{ hasPrefix "cat" "catch" }}': "true",
    '{{ hasSuffix "cat" "catch" }}': "false",
    '{{ quote "a\\"b" 1 nil "c" }}': r'"a\"b" "1" "c"',
    '{{ squote "a" 1 nil }}': "'a' '1'",
    '{{ cat "hello" "beautiful" nil 1 }}': "hello beautiful 1",
    '{{ indent 4 "a\\nb" }}': "    a\n    b",
    '{{ nindent 2 "a\\nb" }}': "\n  a\n  b",
    '{{ "I Am Henry VIII" | replace " " "-" }}': "I-Am-Henry-VIII",
    '{{ len (list 1) | plural "one anchovy" "many anchovies" }}': "one anchovy",
    '{{ 0 | plural "one anchovy" "many anchovies" }}': "many anchovies",
    '{{ snakecase "FirstName" }}': "first_name",
    '{{ snakecase "NoHTTPS" }}': "no_https",
    '{{ snakecase "GO PATH" }}': "go_path",
    '{{ kebabcase "FirstName" }}': "first-name",
    '{{ camelcase "http_server" }}': "HttpServer",
    '{{ camelcase "SOME_WORDS" }}': "SomeWords",
    '{{ len (shuffle "hello") }}': "5",
    "{{ toString 1.5 }}{{ toString nil }}": "1.5<nil>",
    "{{ list 1 2.5 true | toStrings | toJson }}": '["1","2.5","true"]',
    '{{ join "-" (list "a" 1 nil "b") }}': "a-1-b",
    '{{ join "-" "alone" }}': "alone",
    '{{ (split "$" "foo$bar$baz")._1 }}': "bar",
    '{{ (splitn "$" 2 "foo$bar$baz")._1 }}': "bar$baz",
    '{{ splitList "$" "foo$bar$baz" | toJson }}': '["foo","bar","baz"]',
    '{{ splitList "" "abc" | toJson }}': '["a","b","c"]',
    '{{ sortAlpha (list "c" "a" 10 2) }}': "[10 2 a c]",
    "{{ len (randAlphaNum 5) }}{{ len (randAlpha 4) }}": "54",
    '{{ regexMatch "^[0-9]{3}$" (randNumeric 3) }}{{ len (randAscii 9) }}': "true9",
    '{{ base "foo/bar/baz" }}|{{ base "" }}|{{ base "/" }}|{{ base "a/" }}': "baz|.|/|a",
    '{{ dir "foo/bar/baz" }}|{{ dir "foo" }}|{{ dir "/foo" }}': "foo/bar|.|/",
    '{{ clean "foo/bar/../baz" }}|{{ clean "//a" }}|{{ clean "" }}': "foo/baz|/a|.",
    '{{ ext "foo.bar" }}|{{ ext "a.b/c" }}|{{ ext ".rc" }}': ".bar||.rc",
    '{{ isAbs "/a" }}{{ osIsAbs "a" }}': "truefalse",
    '{{ osBase "a/b" }} {{ osDir "a/b" }} {{ osClean "a//b" }} {{ osExt "a.b" }}': "b a a/b .b",
}
REGEXES = {
    r'{{ regexMatch "[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}" "test@acme.com" }}': "true",
    '{{ mustRegexMatch "^a$" "ba" }}': "false",
    '{{ regexFindAll "[2,4,6,8]" "123456789" -1 }}': "[2 4 6 8]",
    '{{ mustRegexFindAll "[2,4,6,8]" "123456789" 2 }}': "[2 4]",
    '{{ regexFind "[a-zA-Z][1-9]" "abcd1234" }}': "d1",
    '{{ mustRegexFind "z" "abc" }}': "",
    '{{ regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W" }}': "-W-xxW-",
    '{{ mustRegexReplaceAll "(?P<n>x+)" "axxb" "<$n$1$$$9>" }}': "a<xxxx$>b",
    '{{ regexReplaceAll "a(x*)b" "-ab-axxb-" "$1W" }}': "---",
    '{{ regexReplaceAllLiteral "a(x*)b" "-ab-axxb-" "${1}" }}': "-${1}-${1}-",
    '{{ mustRegexReplaceAllLiteral "a" "bab" "$0" }}': "b$0b",
    '{{ regexSplit "z+" "pizza" -1 }}': "[pi a]",
    '{{ mustRegexSplit "a" "banana" 2 | toJson }}': '["b","nana"]',
    '{{ regexQuoteMeta "1.2$[x]" }}': r"1\.2\$\[x\]",
}
LISTS = {
    "{{ list 1 2 3 4 5 }}": "[1 2 3 4 5]",
    '{{ tuple 1 "a" }}': "[1 a]",
    "{{ first (list 1 2) }}{{ mustFirst (list 3) }}{{ first (list) }}": "13<no value>",
    "{{ rest (list 1 2 3) }}{{ mustRest (list 1) }}": "[2 3][]",
    "{{ last (list 1 2) }}{{ mustLast (list 3) }}": "23",
    "{{ initial (list 1 2 3) }}{{ mustInitial (list 1) }}": "[1 2][]",
    "{{ append (list 1 2) 6 }}{{ mustAppend (list) 1 }}": "[1 2 6][1]",
    "{{ push (list 1 2) 6 }}{{ mustPush (list) 1 }}": "[1 2 6][1]",
    "{{ prepend (list 1 2) 0 }}{{ mustPrepend (list) 1 }}": "[0 1 2][1]",
    "{{ concat (list 1) (list 6 7) (list 8) }}": "[1 6 7 8]",
    "{{ reverse (list 1 2 3) }}{{ mustReverse (list 1 2) }}": "[3 2 1][2 1]",
    "{{ list 1 1 1 2 1.0 true | uniq }}{{ list 1 1 | mustUniq }}": "[1 2 true][1]",
    "{{ without (list 1 2 3 4 5) 1 3 5 }}{{ mustWithout (list 1 2) 2 }}": "[2 4][1]",
    '{{ has 4 (list 1 4) }}{{ mustHas "hello" (list 1) }}': "truefalse",
    '{{ compact (list 1 "a" "foo" "" 0 nil) }}{{ mustCompact (list 0) }}': "[1 a foo][]",
    "{{ slice (list 1 2 3 4 5) 3 }}{{ slice (list 1 2 3) 1 2 }}{{ mustSlice (list 1 2) }}": "[4 5][2][1 2]",
    '{{ slice "abcdef" 1 3 }}': "bc",
    "{{ chunk 2 (list 1 2 3) }}{{ mustChunk 3 (list 1 2) }}": "[[1 2] [3]][[1 2]]",
    "{{ until 5 }}{{ until -3 }}": "[0 1 2 3 4][0 -1 -2]",
    "{{ untilStep 3 6 2 }}{{ untilStep 6 3 -2 }}{{ untilStep 1 5 0 }}": "[3 5][6 4][]",
    "{{ seq 5 }}|{{ seq -3 }}|{{ seq 0 2 }}|{{ seq 2 -2 }}": "1 2 3 4 5|1 0 -1 -2 -3|0 1 2|2 1 0 -1 -2",
    "{{ seq 0 2 10 }}|{{ seq 0 -2 -5 }}": "0 2 4 6 8 10|0 -2 -4",
}
DICTS = {
    '{{ dict "a" 1 "b" }}': "map[a:1 b:]",
    '{{ get (dict "a" 1) "a" }}{{ get (dict) "a" }}': "1",
    '{{ $d := dict "a" 1 }}{{ $_ := set $d "b" 2 }}{{ $d }}': "map[a:1 b:2]",
    '{{ $d := dict "a" 1 "b" 2 }}{{ $_ := unset $d "a" }}{{ unset $d "z" }}': "map[b:2]",
    '{{ hasKey (dict "a" nil) "a" }}{{ hasKey (dict) "a" }}': "truefalse",
    '{{ pluck "a" (dict "a" 1) (dict "b" 2) (dict "a" "") | toJson }}': '[1,""]',
    '{{ dig "user" "role" "name" "guest" (dict "user" (dict "role" (dict "name" "boss"))) }}': "boss",
    '{{ dig "user" "name" "guest" (dict "user" (dict)) }}{{ dict | dig "x" 1 }}': "guest1",
    '{{ merge (dict "a" 1 "n" (dict "x" 1 "z" 0)) (dict "a" 2 "b" 3 "n" (dict "x" 9 "y" 2 "z" 5)) }}': "map[a:1 b:3 n:map[x:1 y:2 z:5]]",
    '{{ mustMerge (dict) (dict "a" 1) (dict "a" 2) }}': "map[a:1]",
    '{{ mergeOverwrite (dict "a" 1 "k" true) (dict "a" 2 "k" false) }}': "map[a:2 k:false]",
    '{{ mustMergeOverwrite (dict "n" (dict "x" 1)) (dict "n" (dict "y" 2)) }}': "map[n:map[x:1 y:2]]",
    '{{ keys (dict "b" 1 "a" 2) (dict "a" 1) }}': "[a b a]",
    '{{ values (dict "b" 1 "a" 2) }}': "[2 1]",
    '{{ pick (dict "a" 1 "b" 2 "c" 3) "a" "c" "z" }}': "map[a:1 c:3]",
    '{{ omit (dict "a" 1 "b" 2 "c" 3) "a" "c" }}': "map[b:2]",
    '{{ $a := dict "n" (dict "x" 1) }}{{ $b := deepCopy $a }}{{ $_ := set $b.n "x" 2 }}{{ $a }}{{ $b }}': "map[n:map[x:1]]map[n:map[x:2]]",
    '{{ mustDeepCopy (list 1 (dict "a" 1)) }}': "[1 map[a:1]]",
}
NUMBERS = {
    '{{ add 1 2 3 }}{{ add "4" 1.9 true }}': "66",
    "{{ add1 41 }}": "42",
    "{{ sub 5 7 }}": "-2",
    "{{ div 7 2 }}{{ div -7 2 }}": "3-3",
    "{{ mod 7 3 }}{{ mod -7 3 }}": "1-1",
    "{{ mul 2 3 4 }}": "24",
    "{{ max 1 3 2 }}{{ min 3 1 2 }}{{ biggest 1 9 }}": "319",
    "{{ addf 1.5 2 2 }}{{ add1f 1.5 }}": "5.52.5",
    "{{ subf 7.5 2 3 }}": "2.5",
    "{{ divf 10 2 4 }}": "1.25",
    "{{ mulf 1.5 2 2 }}": "6",
    "{{ maxf 1 2.5 3 }}{{ minf 1.5 2 3 }}": "31.5",
    "{{ floor 123.9999 }}{{ ceil 123.001 }}": "123124",
    "{{ round 123.555555 3 }}|{{ round -2.5 0 }}|{{ round 2.4 0 0.3 }}": "123.556|-3|3",
    '{{ int "12" }}{{ int 3.9 }}{{ int "x" }}{{ int64 true }}{{ int "-5.0" }}': "12301-5",
    '{{ float64 "1.5" }}{{ float64 2 }}{{ float64 "inf" }}': "1.520",
    '{{ atoi "42" }}{{ atoi "x" }}': "420",
    '{{ toDecimal "0777" }}{{ toDecimal 10 }}{{ toDecimal "9" }}': "51180",
    "{{ $n := randInt 12 30 }}{{ and (ge $n 12) (lt $n 30) }}": "true",
}
DATES = {
    "{{ now }}": "2026-03-14 15:09:26.535897 +0000 UTC",
    '{{ now | date "2006-01-02" }}': "2026-03-14",
    '{{ date "Mon Jan 2 15:04:05 2006" 0 }}': "Thu Jan 1 00:00:00 1970",
    '{{ date "Monday, 02-Jan-06 03:04 PM" "2026-03-14T15:09:26Z" }}': "Saturday, 14-Mar-26 03:09 PM",
    '{{ date "January _2 002 __2 .000 3:4:5 pm" now }}': "March 14 073  73 .535 3:9:26 pm",
    '{{ date "2006-01-02T15:04:05.999999999Z07:00" now }}': "2026-03-14T15:09:26.535897Z",
    '{{ dateInZone "15:04 MST -0700 -07:00" now "America/New_York" }}': "11:09 EDT -0400 -04:00",
    '{{ date_in_zone "15:04" now "UTC" }}': "15:09",
    "{{ htmlDate now }}": "2026-03-14",
    '{{ htmlDateInZone now "Asia/Tokyo" }}': "2026-03-15",
    '{{ now | date_modify "-1.5h" | date "15:04" }}': "13:39",
    '{{ now | dateModify "24h30m" | date "02 15:04" }}': "15 15:39",
    '{{ now | mustDateModify "1ms" | date ".000" }}': ".536",
    '{{ now | must_date_modify "-1m" | date "15:04" }}': "15:08",
    '{{ toDate "2006-01-02" "2017-12-31" | date "02/01/2006" }}': "31/12/2017",
    '{{ mustToDate "Jan 2, 2006 at 3:04pm (MST)" "Feb 3, 2013 at 7:54pm (UTC)" | date "2006-01-02 15:04" }}': "2013-02-03 19:54",
    '{{ toDate "2006-01-02T15:04:05Z07:00" "2020-02-29T23:59:59.25+02:00" | unixEpoch }}': "1583013599",
    '{{ toDate "2006 002" "2024 366" | htmlDate }}': "2024-12-31",
    '{{ ago "2026-03-14T12:35:19Z" }}': "2h34m8s",
    "{{ now | unixEpoch }}": "1773500966",
    '{{ duration 95 }}|{{ duration "3600" }}|{{ duration 0 }}|{{ duration -5 }}': "1m35s|1h0m0s|0s|-5s",
    '{{ durationRound "2h10m5s" }}|{{ durationRound "2400h10m5s" }}|{{ durationRound 45 }}': "2h|3mo|45s",
    '{{ durationRound (toDate "2006" "2024") }}|{{ durationRound "-36h" }}': "2y|-1d",
    "{{ now.Year }} {{ now.Month }} {{ now.Day }} {{ now.Weekday }} {{ now.YearDay }}": "2026 March 14 Saturday 73",
    "{{ now.Hour }}:{{ now.Minute }}:{{ (now).Second }}": "15:9:26",
    "{{ now.Unix }} {{ now.UnixMilli }} {{ now.UTC.Unix }}": "1773500966 1773500966535 1773500966",
    '{{ now.Format "15:04" }}': "15:09",
}
ENCODINGS = {
    '{{ b64enc "hällo" }}{{ b64dec "aMOkbGxv" }}': "aMOkbGxvhällo",
    '{{ b32enc "hello" }}{{ b32dec "NBSWY3DP" }}': "NBSWY3DPhello",
    '{{ toJson (dict "b" (list 1 2.5 nil true) "a" "<ä>") }}': '{"a":"\\u003cä\\u003e","b":[1,2.5,null,true]}',
    "{{ mustToJson now }}": '"2026-03-14T15:09:26.535897Z"',
    '{{ toRawJson "<&>" }}{{ mustToRawJson 1 }}': '"<&>"1',
    '{{ toPrettyJson (dict "a" (list 1)) }}': '{\n  "a": [\n    1\n  ]\n}',
    "{{ mustToPrettyJson (list) }}": "[]",
    '{{ (fromJson `{"a": {"b": [1, 2]}}`).a.b }}|{{ fromJson "nope" }}': "[1 2]|",
    '{{ (mustFromJson `[{"x": 1.5}]` | first).x }}': "1.5",
    '{{ sha1sum "Hello world!" }}': hashlib.sha1(b"Hello world!").hexdigest(),
    '{{ sha256sum "Hello world!" }}': hashlib.sha256(b"Hello world!").hexdigest(),
    '{{ sha512sum "x" }}': hashlib.sha512(b"x").hexdigest(),
    '{{ adler32sum "Hello world!" }}': str(zlib.adler32(b"Hello world!")),
    r'{{ regexMatch "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$" uuidv4 }}': "true",
    "{{ len (randBytes 6) }}": "8",
    """{{ html "<a href=\\"x\\">'&'</a>" }}""": "&lt;a href=&#34;x&#34;&gt;&#39;&amp;&#39;&lt;/a&gt;",
    '{{ htmlEscape "<b>" }}{{ htmlAttrEscape "\\"" }}': "&lt;b&gt;&#34;",
    """{{ js "it's <b> & \\"x\\" = \\n\\\\ ä" }}""": r"it\'s \u003Cb\u003E \u0026 \"x\" \u003D \u000A\\ ä",
    """{{ jsEscape "'" }}""": r"\'",
    '{{ urlquery "Hello, World + ~Sprig!" 1 }}': "Hello%2C+World+%2B+~Sprig%211",
    '{{ $u := urlParse "http://admin:secret@server.com:8080/api?list=false#anchor" }}'
    "{{ $u.scheme }} {{ $u.host }} {{ $u.hostname }} {{ $u.path }} {{ $u.query }} {{ $u.fragment }} {{ $u.userinfo }}": "http server.com:8080 server.com /api list=false anchor admin:secret",
    '{{ urlJoin (dict "fragment" "fragment" "host" "host:80" "path" "/path" "query" "query" "scheme" "http") }}': "http://host:80/path?query#fragment",
}
BASICS = {
    "{{ not 0 }}{{ not 1 }}": "truefalse",
    '{{ and 1 0 2 }}{{ and 1 "x" }}{{ or 0 "" "y" }}{{ or 0 "" }}{{ 1 | and 2 }}': "0xy1",
    '{{ eq 1 1.0 }}{{ eq "a" "b" "a" }}{{ eq nil nil }}{{ eq nil 1 }}': "truetruetruefalse",
    '{{ ne "a" "b" }}': "true",
    '{{ lt 1 2 }}{{ le 2 2 }}{{ gt "b" "a" }}{{ ge 1 2 }}': "truetruetruefalse",
    '{{ index (list 1 (dict "k" "v")) 1 "k" }}{{ index (dict) "x" }}{{ index "abc" }}': "v<no value>abc",
    '{{ len "häh" }}{{ len (list 1 2) }}{{ len (dict "a" 1) }}': "321",
    '{{ print "a" 1 2 "b" nil true }}|{{ println "a" 1 }}': "a1 2b<nil> true|a 1\n",
    '{{ printf "%s-%d" "a" 1 }}': "a-1",
    '{{ default "foo" "" }}{{ default "foo" "bar" }}{{ default "x" }}{{ 0 | default 7 }}': "foobarx7",
    '{{ empty "" }}{{ empty 1 }}{{ empty nil }}': "truefalsetrue",
    "{{ coalesce 0 1 2 }}{{ coalesce 0 nil }}": "1<no value>",
    '{{ all 1 "a" true }}{{ all 1 0 }}{{ any 0 1 }}{{ any 0 "" }}': "truefalsetruefalse",
    '{{ ternary "foo" "bar" true }}{{ false | ternary "foo" "bar" }}': "foobar",
    '{{ typeOf "a" }} {{ typeOf 1 }} {{ typeOf 1.5 }} {{ typeOf nil }} {{ typeOf (list) }} {{ typeOf now }}':
        "string int float64 <nil> []interface {} time.Time",
    '{{ typeIs "bool" true }}{{ typeIsLike "*string" "a" }}': "truetrue",
    '{{ kindOf "a" }} {{ kindOf (dict) }} {{ kindOf (list) }} {{ kindOf nil }} {{ kindOf now }} {{ kindOf 1 }}':
        "string map slice invalid struct int",
    '{{ kindIs "int" 123 }}': "true",
    '{{ deepEqual (list 1 (dict "a" 2)) (list 1 (dict "a" 2.0)) }}{{ deepEqual 1 true }}': "truefalse",
}  # fmt: skip
CASES = TEXTS | REGEXES | LISTS | DICTS | NUMBERS | DATES | ENCODINGS | BASICS


@pytest.mark.parametrize(("source", "expected"), CASES.items(), ids=list(CASES))
def test_functions_answer_as_documented(
    text: Callable[..., str], source: str, expected: str
) -> None:
    """A function gives what the documentation of Go or sprig promises."""
    assert expected == text(source)


def test_every_function_is_tested() -> None:
    """No function is in the language without a case here."""
    mentioned = set(re.findall(r"\w+", " ".join(CASES)))
    assert {"fail"} == {*FUNCTIONS, *SHORT_CIRCUIT} - mentioned


def test_every_function_is_documented() -> None:
    """The page on templates names every function; the `must...` forms have one sentence there."""
    page = Path(__file__).parents[3].joinpath("docs/templates.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"\w+", page))
    assert set() == {name for name in FUNCTIONS if not name.startswith("must")} - documented


def test_fail_stops_the_render_with_its_own_words(text: Callable[..., str]) -> None:
    """`fail` makes an error of its message."""
    with pytest.raises(TemplateError, match="fail: no region given"):
        text('{{ fail "no region given" }}')


FORMATS = {
    '"%v %v %v" nil true "x"': "<nil> true x",
    '"%5d|%-5d|%05d|%+d|% d" 42 42 -42 42 42': "   42|42   |-0042|+42| 42",
    '"%x %X %#x %o %O %b %c %q %U" 255 255 255 8 8 5 65 65 65': "ff FF 0xff 10 0o10 101 A 'A' U+0041",
    '"%f %.2f %8.3f %e %g %G" 1.5 1.555 3.14159 1500.0 0.000001 1e21': "1.500000 1.55    3.142 1.500000e+03 1e-06 1E+21",
    '"%s|%10s|%-4s|%.2s|%q" "a" "b" "c" "def" "g\\"\\n"': 'a|         b|c   |de|"g\\"\\n"',
    '"%x|% X|%#q" "hi" "hi" "a"': "6869|68 69|`a`",
    '"%t %T %T" true 1 "a"': "true int string",
    '"%v %d %s" (list 1 "a") (list 1 2) (dict "k" "v")': "[1 a] [1 2] map[k:v]",
    '"%[2]s %[1]s" "a" "b"': "b a",
    '"%*d|%-*d|%.*f" 4 7 3 7 1 2.55': "   7|7  |2.5",
    '"100%%"': "100%",
    '"%d" "x"': "%!d(string=x)",
    '"%d"': "%!d(MISSING)",
    '"%s" "a" 1': "a%!(EXTRA int=1)",
    '"%z" 1': "%!z(int=1)",
    '"%s" 1': "%!s(int=1)",
    '"%d" nil': "%!d(<nil>)",
    '"%[5]d" 1': "%!d(BADINDEX)",
    '"%#v" "x"': '"x"',
    '"%+v %6.2f%%" 7 99.5': "+7  99.50%",
    '"%"': "%!(NOVERB)",
}


@pytest.mark.parametrize(("arguments", "expected"), FORMATS.items(), ids=list(FORMATS))
def test_printf_follows_go(text: Callable[..., str], arguments: str, expected: str) -> None:
    """`printf` has Go's verbs and flags, and shows a mistake in the text."""
    assert expected == text("{{ printf " + arguments + " }}")


FLOATS = {
    0.0: "0", 1.0: "1", 1.5: "1.5", 100000.0: "100000", 1000000.0: "1e+06", 1234567.5: "1.2345675e+06",
    0.0001: "0.0001", 0.00001: "1e-05", -2.25: "-2.25", 1e21: "1e+21", 0.1: "0.1",
}  # fmt: skip


@pytest.mark.parametrize(("number", "expected"), FLOATS.items())
def test_floats_print_as_in_go(text: Callable[..., str], number: float, expected: str) -> None:
    """A float prints with the shortest digits, and with an exponent from a million on."""
    assert expected == text("{{ .n }}", n=number)


REFUSALS = {
    "{{ upper 1 }}": "upper: needs text, not a number",
    "{{ trunc 1.5 .s }}": "trunc: needs a whole number, not a number",
    '{{ ternary 1 2 "yes" }}': "ternary: needs true or false, not text",
    "{{ keys 1 }}": "keys: needs a map, not a number",
    '{{ uniq "a" }}': "uniq: needs a list, not text",
    '{{ first "a" }}': "first: needs a list, not text",
    "{{ len 1 }}": "len: a number has no length",
    "{{ dict 1 2 }}": "dict: a key must be text, not a number",
    "{{ chunk 0 (list) }}": "chunk: a chunk needs at least 1 item",
    "{{ slice (list 1) 2 }}": "slice: 2:1 is outside of a length of 1",
    "{{ index (list 1) 1 }}": "index: index 1 is outside of a list of 1",
    '{{ index (list 1) "a" }}': "index: a list needs a whole number as index, not text",
    "{{ index 1 1 }}": "index: cannot index a number",
    "{{ index nil 1 }}": "index: cannot index null",
    '{{ eq 1 "1" }}': "eq: cannot compare a number with text; convert one of them",
    "{{ index (dict) 1 }}": "index: the key of a map is text, not a number",
    '{{ dig "a" 1 2 (dict "a" (dict)) }}': "dig: the key of a map is text, not a number",
    "{{ eq (list) (list) }}": "eq: cannot compare a list; deepEqual can",
    "{{ lt true false }}": "lt: cannot order a boolean and a boolean",
    "{{ lt nil 1 }}": "lt: cannot order null and a number",
    "{{ div 1 0 }}": "div: division by zero",
    "{{ mod 1 0 }}": "mod: division by zero",
    "{{ divf 1 0 }}": "divf: division by zero",
    "{{ add 9223372036854775807 1 }}": "add: the number does not fit into 64 bits",
    "{{ mulf 1e308 1e308 }}": "mulf: the result is too large",
    "{{ randInt 3 3 }}": "randInt: the second number must be larger than the first",
    '{{ b64dec "%" }}': "b64dec: the text is not an encoding of UTF-8 text",
    '{{ b64dec "/w==" }}': "b64dec: the text is not an encoding of UTF-8 text",
    '{{ mustFromJson "{" }}': "mustFromJson: the text is not JSON",
    '{{ mustFromJson "NaN" }}': "mustFromJson: the text is not JSON",
    '{{ dateInZone "15" now "Mars/Base" }}': 'dateInZone: the time zone "Mars/Base" is not known; write one like Europe/Lisbon',
    '{{ dateInZone "15" now "../../etc" }}': 'dateInZone: the time zone "../../etc" is not known; write one like Europe/Lisbon',
    '{{ dateModify "soon" now }}': "dateModify: a duration looks like 1h30m or -1.5h; its units are h m s ms us ns",
    '{{ dateModify "99999999999h" now }}': "dateModify: these values do not go together",
    '{{ toDate "2006-01-02" "2017-02-30" }}': "toDate: the date does not exist",
    '{{ toDate "2006-01-02" "yesterday" }}': "toDate: the text does not have the form of the layout, at 2006",
    '{{ toDate "2006" "2017!" }}': "toDate: the text goes on after what the layout asks for",
    "{{ date `15` true }}": "date: needs a moment, seconds since 1970 or RFC 3339 text, not a boolean",
    "{{ now.Birthday }}": "now.Birthday does not exist: now is a moment, not a map",
    '{{ regexMatch "(" "a" }}': "regexMatch: the pattern has a ( that is not closed",
}


@pytest.mark.parametrize(("source", "expected"), REFUSALS.items(), ids=list(REFUSALS))
def test_functions_say_what_they_need(text: Callable[..., str], source: str, expected: str) -> None:
    """A function that cannot do its work names itself and what is wrong, not the value."""
    with pytest.raises(TemplateError) as caught:
        text(source, s="secret")
    assert expected == caught.value.message


def test_maps_from_outside_are_never_changed(text: Callable[..., str]) -> None:
    """`set`, `unset` and `merge` answer with a copy when the map is not the template's own."""
    given = {"a": {"b": 1}}
    assert "map[a:map[b:1] c:2]" == text('{{ set .m "c" 2 }}', m=given)
    assert "map[]" == text('{{ unset .m "a" }}', m=given)
    assert "map[a:map[b:1 x:9]]" == text('{{ merge .m (dict "a" (dict "x" 9)) }}', m=given)
    assert "map[a:map[b:7]]" == text('{{ mergeOverwrite .m (dict "a" (dict "b" 7)) }}', m=given)
    assert {"a": {"b": 1}} == given


def test_the_same_dice_give_the_same_render() -> None:
    """Randomness and time come from the environment alone."""
    from appliance.language.template import Environment

    template = compile_text(
        "{{ uuidv4 }}{{ randAlphaNum 9 }}{{ shuffle `abcdef` }}{{ randInt 0 99 }}{{ now }}"
    )
    first, second = (template.text({}, Environment(0, "3")) for _ in range(2))
    assert first == second
    assert first != template.text({}, Environment(0, "4"))
