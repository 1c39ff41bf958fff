from fieldconf_microagent.mustache import MustacheError, render

# name: (template, context, result), after the sections of the mustache specification.
INTERPOLATION = {
    "no tags": ("Hello from {Mustache}!\n", {}, "Hello from {Mustache}!\n"),
    "a variable": ("Hello, {{subject}}!", {"subject": "world"}, "Hello, world!"),
    "no interpolation twice": ("{{a}}: {{b}}", {"a": "{{b}}", "b": "x"}, "{{b}}: x"),
    "escaped for HTML": ("{{x}}", {"x": '& " < >'}, "&amp; &quot; &lt; &gt;"),
    "three braces": ("{{{x}}}", {"x": '& " < >'}, '& " < >'),
    "ampersand": ("{{&x}}", {"x": '& " < >'}, '& " < >'),
    "an integer": ("{{x}} {{{x}}} {{&x}}", {"x": 85}, "85 85 85"),
    "a decimal": ("{{x}}", {"x": 1.5}, "1.5"),
    "zero": ("{{x}}", {"x": 0}, "0"),
    "nil": ("I ({{x}}) {{{x}}}{{&x}}.", {"x": None}, "I () ."),
    "nothing of that name": ("I ({{x}}) {{{x}}}{{&x}}.", {}, "I () ."),
    "dotted names": ("{{a.b}}={{#a}}{{b}}{{/a}}", {"a": {"b": "J"}}, "J=J"),
    "many dots": ("{{a.b.c.d.e}}", {"a": {"b": {"c": {"d": {"e": "P"}}}}}, "P"),
    "a broken chain": ("{{a.b.c}}.", {"a": {}}, "."),
    "a chain breaks, no search further out": (
        "{{a.b.c.name}}.",
        {"a": {"b": {}}, "c": {"name": "Jim"}},
        ".",
    ),
    "the first name is sought in all contexts": (
        "{{#a}}{{b.c.d.e.name}}{{/a}}",
        {"a": {"b": {"c": {"d": {"e": {"name": "P"}}}}}, "b": {"c": {"d": {"e": {"name": "W"}}}}},
        "P",
    ),
    "dotted names precede the context": (
        "{{#a}}{{b.c}}{{/a}}",
        {"a": {"b": {}}, "b": {"c": 1}},
        "",
    ),
    "no single key with dots": ("{{a.b}}.", {"a.b": "c"}, "."),
    "a key with dots does not hide": ("{{a.b}}", {"a.b": "c", "a": {"b": "d"}}, "d"),
    "implicit iterator": ("{{.}}!", "world", "world!"),
    "implicit iterator escaped": ("{{.}} {{{.}}} {{&.}}", "<", "&lt; < <"),
    "implicit iterator of a number": ("{{.}}", 85, "85"),
    "white space around stays": ("| {{x}} |", {"x": "---"}, "| --- |"),
    "white space around triple stays": ("| {{{x}}} |", {"x": "---"}, "| --- |"),
    "alone on a line": ("  {{x}}\n", {"x": "---"}, "  ---\n"),
    "triple alone on a line": ("  {{{x}}}\n", {"x": "---"}, "  ---\n"),
    "ampersand alone on a line": ("  {{&x}}\n", {"x": "---"}, "  ---\n"),
    "padding": ("|{{ x }}|{{{ x }}}|{{& x }}|", {"x": "---"}, "|---|---|---|"),
}

SECTIONS = {
    "true": ('"{{#b}}This.{{/b}}"', {"b": True}, '"This."'),
    "false": ('"{{#b}}This.{{/b}}"', {"b": False}, '""'),
    "nil": ('"{{#b}}This.{{/b}}"', {"b": None}, '""'),
    "missing": ('"{{#b}}This.{{/b}}"', {}, '""'),
    "a map": ("{{#c}}Hi {{name}}.{{/c}}", {"c": {"name": "Joe"}}, "Hi Joe."),
    "outer names are seen": (
        '"{{#sec}}{{a}}, {{b}}, {{c.d}}{{/sec}}"',
        {"a": "foo", "b": "wrong", "sec": {"b": "bar"}, "c": {"d": "baz"}},
        '"foo, bar, baz"',
    ),
    "variable test": ('"{{#foo}}{{.}} is {{foo}}{{/foo}}"', {"foo": "bar"}, '"bar is bar"'),
    "lists of lists": (
        "{{#tops}}{{#middles}}{{tname.lower}}{{mname}}.{{#bottoms}}{{tname.upper}}{{mname}}"
        "{{bname}}.{{/bottoms}}{{/middles}}{{/tops}}",
        {
            "tops": [
                {
                    "tname": {"upper": "A", "lower": "a"},
                    "middles": [{"mname": "1", "bottoms": [{"bname": "x"}, {"bname": "y"}]}],
                }
            ]
        },
        "a1.A1x.A1y.",
    ),
    "every context above is seen": (
        "{{#a}}\n{{u}}\n{{#b}}\n{{u}}{{v}}\n{{#c}}\n{{v}}{{w}}{{u}}\n{{#five}}\n{{w}}{{.}}{{u}}6"
        "{{.}}\n{{/five}}\n{{w}}\n{{/c}}\n{{v}}\n{{/b}}\n{{u}}\n{{/a}}\n",
        {"a": {"u": 1}, "b": {"v": 2}, "c": {"w": 3, "five": 5}},
        "1\n12\n231\n35165\n3\n2\n1\n",
    ),
    "no value of that name": ("[{{#missing}}there{{/missing}}]", {}, "[]"),
    "a list": ('"{{#l}}{{i}}{{/l}}"', {"l": [{"i": 1}, {"i": 2}, {"i": 3}]}, '"123"'),
    "an empty list": ('"{{#l}}Yay{{/l}}"', {"l": []}, '""'),
    "twice": (
        "{{#b}}\n* first\n{{/b}}\n* {{two}}\n{{#b}}\n* third\n{{/b}}\n",
        {"b": True, "two": "second"},
        "* first\n* second\n* third\n",
    ),
    "nested, true": ("| A {{#b}}B {{#b}}C{{/b}} D{{/b}} E |", {"b": True}, "| A B C D E |"),
    "nested, false": ("| A {{#b}}B {{#b}}C{{/b}} D{{/b}} E |", {"b": False}, "| A  E |"),
    "implicit iterator": ('"{{#l}}({{.}}){{/l}}"', {"l": ["a", 1, 2.5]}, '"(a)(1)(2.5)"'),
    "implicit iterator, nested": (
        '"{{#l}}({{#.}}{{.}}{{/.}}){{/l}}"',
        {"l": [[1, 2, 3], ["a", "b"]]},
        '"(123)(ab)"',
    ),
    "implicit iterator, escaped": ("{{#l}}({{.}}{{{.}}}{{&.}}){{/l}}", {"l": ["<"]}, "(&lt;<<)"),
    "implicit iterator at the root": ("{{#.}}({{v}}){{/.}}", [{"v": "a"}, {"v": "b"}], "(a)(b)"),
    "dotted, true": ('"{{#a.b.c}}Here{{/a.b.c}}"', {"a": {"b": {"c": True}}}, '"Here"'),
    "dotted, false": ('"{{#a.b.c}}Here{{/a.b.c}}"', {"a": {"b": {"c": False}}}, '""'),
    "dotted, broken": ('"{{#a.b.c}}Here{{/a.b.c}}"', {"a": {}}, '""'),
    "white space stays": (" | {{#b}}\t|\t{{/b}} | \n", {"b": True}, " | \t|\t | \n"),
    "white space within stays": (
        " | {{#b}} {{! Important }}\n {{/b}} | \n",
        {"b": True},
        " |  \n  | \n",
    ),
    "on one line": (" {{#b}}YES{{/b}}\n {{#b}}GOOD{{/b}}\n", {"b": True}, " YES\n GOOD\n"),
    "standalone lines": (
        "| This Is\n{{#b}}\n|\n{{/b}}\n| A Line\n",
        {"b": True},
        "| This Is\n|\n| A Line\n",
    ),
    "indented standalone lines": (
        "| This Is\n  {{#b}}\n|\n  {{/b}}\n| A Line\n",
        {"b": True},
        "| This Is\n|\n| A Line\n",
    ),
    "standalone with CRLF": ("|\r\n{{#b}}\r\n{{/b}}\r\n|", {"b": True}, "|\r\n|"),
    "standalone at the start": ("  {{#b}}\n#{{/b}}\n/", {"b": True}, "#\n/"),
    "standalone at the end": ("#{{#b}}\n/\n  {{/b}}", {"b": True}, "#\n/\n"),
    "padding": ("|{{# b }}={{/ b }}|", {"b": True}, "|=|"),
}

INVERTED = {
    "false": ('"{{^b}}This.{{/b}}"', {"b": False}, '"This."'),
    "true": ('"{{^b}}This.{{/b}}"', {"b": True}, '""'),
    "nil": ('"{{^b}}This.{{/b}}"', {"b": None}, '"This."'),
    "a map": ('"{{^c}}Hi {{name}}.{{/c}}"', {"c": {"name": "Joe"}}, '""'),
    "a list": ('"{{^l}}{{n}}{{/l}}"', {"l": [{"n": 1}]}, '""'),
    "an empty list": ('"{{^l}}Yay{{/l}}"', {"l": []}, '"Yay"'),
    "twice": (
        "{{^b}}\n* first\n{{/b}}\n* {{two}}\n{{^b}}\n* third\n{{/b}}\n",
        {"b": False, "two": "second"},
        "* first\n* second\n* third\n",
    ),
    "nested": ("| A {{^b}}B {{^b}}C{{/b}} D{{/b}} E |", {"b": False}, "| A B C D E |"),
    "missing": ("[{{^missing}}Cannot find it!{{/missing}}]", {}, "[Cannot find it!]"),
    "nested, true": ("| A {{^b}}B {{^b}}C{{/b}} D{{/b}} E |", {"b": True}, "| A  E |"),
    "dotted, true": ('"{{^a.b.c}}Not Here{{/a.b.c}}"', {"a": {"b": {"c": True}}}, '""'),
    "dotted, false": ("[{{^a.b}}Not Here{{/a.b}}]", {"a": {"b": False}}, "[Not Here]"),
    "dotted, broken": ('"{{^a.b.c}}Not Here{{/a.b.c}}"', {"a": {}}, '"Not Here"'),
    "white space within stays": (
        " | {{^b}} {{! a comment }}\n {{/b}} | \n",
        {"b": False},
        " |  \n  | \n",
    ),
    "on one line": (" {{^b}}NO{{/b}}\n {{^b}}WAY{{/b}}\n", {"b": False}, " NO\n WAY\n"),
    "standalone lines": ("1\n{{^b}}\n2\n{{/b}}\n3\n", {"b": False}, "1\n2\n3\n"),
    "indented standalone lines": ("1\n  {{^b}}\n2\n  {{/b}}\n3\n", {}, "1\n2\n3\n"),
    "white space stays": (" | {{^b}}\t|\t{{/b}} | \n", {"b": False}, " | \t|\t | \n"),
    "standalone with CRLF": ("|\r\n{{^b}}\r\n{{/b}}\r\n|", {"b": False}, "|\r\n|"),
    "standalone at the start": ("  {{^b}}\n^{{/b}}\n/", {"b": False}, "^\n/"),
    "standalone at the end": ("^{{^b}}\n/\n  {{/b}}", {"b": False}, "^\n/\n"),
    "padding": ("|{{^ b }}={{/ b }}|", {"b": False}, "|=|"),
}

COMMENTS = {
    "inline": ("12345{{! Comment Block! }}67890", {}, "1234567890"),
    "several lines": ("12345{{!\n  A\n  multi-line\n}}67890", {}, "1234567890"),
    "standalone": ("Begin.\n{{! Comment }}\nEnd.\n", {}, "Begin.\nEnd.\n"),
    "indented standalone": ("Begin.\n  {{! Comment }}\nEnd.\n", {}, "Begin.\nEnd.\n"),
    "standalone with CRLF": ("|\r\n{{! Comment }}\r\n|", {}, "|\r\n|"),
    "standalone at the start": ("  {{! I'm Still Standalone }}\n!", {}, "!"),
    "standalone at the end": ("!\n  {{! I'm Still Standalone }}", {}, "!\n"),
    "standalone, several lines": (
        "Begin.\n{{!\nSomething's going on here...\n}}\nEnd.\n",
        {},
        "Begin.\nEnd.\n",
    ),
    "indented standalone, several lines": (
        "Begin.\n  {{!\n    Something's going on here...\n  }}\nEnd.\n",
        {},
        "Begin.\nEnd.\n",
    ),
    "after text": ("  12 {{! 34 }}\n", {}, "  12 \n"),
    "white space around stays": ("12345 {{! Comment Block! }} 67890", {}, "12345  67890"),
    "not a variable": ("({{! comment }})", {"! comment": 1, "comment": 2}, "()"),
}

DELIMITERS = {
    "a pair": ("{{=<% %>=}}(<%text%>)", {"text": "Hey!"}, "(Hey!)"),
    "special characters": ("({{=[ ]=}}[text])", {"text": "It worked!"}, "(It worked!)"),
    "in sections": (
        "[\n{{#s}}\n  {{data}}\n  |data|\n{{/s}}\n\n{{= | | =}}\n"
        "|#s|\n  {{data}}\n  |data|\n|/s|\n]\n",
        {"s": True, "data": "I got interpolated."},
        "[\n  I got interpolated.\n  |data|\n\n  {{data}}\n  I got interpolated.\n]\n",
    ),
    "in inverted sections": (
        "[\n{{^s}}\n  {{data}}\n  |data|\n{{/s}}\n\n{{= | | =}}\n"
        "|^s|\n  {{data}}\n  |data|\n|/s|\n]\n",
        {"s": False, "data": "I got interpolated."},
        "[\n  I got interpolated.\n  |data|\n\n  {{data}}\n  I got interpolated.\n]\n",
    ),
    "white space around stays": ("| {{=@ @=}} |", {}, "|  |"),
    "white space before stays": (" | {{=@ @=}}\n", {}, " | \n"),
    "standalone": ("Begin.\n{{=@ @=}}\nEnd.\n", {}, "Begin.\nEnd.\n"),
    "indented standalone": ("Begin.\n  {{=@ @=}}\nEnd.\n", {}, "Begin.\nEnd.\n"),
    "standalone with CRLF": ("|\r\n{{= @ @ =}}\r\n|", {}, "|\r\n|"),
    "standalone at the start": ("  {{=@ @=}}\n=", {}, "="),
    "standalone at the end": ("=\n  {{=@ @=}}", {}, "=\n"),
    "padding": ("|{{= @   @ =}}|", {}, "||"),
}

# name: (template, context, partials, result)
PARTIALS = {
    "inserted": ('"{{>text}}"', {}, {"text": "from partial"}, '"from partial"'),
    "missing": ('"{{>text}}"', {}, {}, '""'),
    "sees the context": ('"{{>p}}"', {"text": "content"}, {"p": "*{{text}}*"}, '"*content*"'),
    "contains itself": (
        "{{>node}}",
        {"content": "X", "nodes": [{"content": "Y", "nodes": []}]},
        {"node": "{{content}}<{{#nodes}}{{>node}}{{/nodes}}>"},
        "X<Y<>>",
    ),
    "nested": (
        "{{>outer}}",
        {"a": "hello", "b": "world"},
        {"outer": "*{{a}} {{>inner}}*", "inner": "{{b}}!"},
        "*hello world!*",
    ),
    "white space around stays": ("| {{>p}} |", {}, {"p": "\t|\t"}, "| \t|\t |"),
    "not standalone": ("  {{data}}  {{> p}}\n", {"data": "|"}, {"p": ">\n>"}, "  |  >\n>\n"),
    "standalone with CRLF": ("|\r\n{{>p}}\r\n|", {}, {"p": ">"}, "|\r\n>|"),
    "standalone at the start": ("  {{>p}}\n>", {}, {"p": ">\n>"}, "  >\n  >>"),
    "standalone at the end": (">\n  {{>p}}", {}, {"p": ">\n>"}, ">\n  >\n  >"),
    "indents its lines, not those of values": (
        "\\\n {{>p}}\n/\n",
        {"content": "<\n->"},
        {"p": "|\n{{{content}}}\n|\n"},
        "\\\n |\n <\n->\n |\n/\n",
    ),
    "padding": ("|{{> p }}|", {}, {"p": "[]"}, "|[]|"),
    "delimiters do not go in": (
        "[ {{>include}} ]\n{{= | | =}}\n[ |>include| ]\n",
        {"value": "yes"},
        {"include": ".{{value}}."},
        "[ .yes. ]\n[ .yes. ]\n",
    ),
    "delimiters do not come out": (
        "[ {{>include}} ]\n[ .{{value}}.  .|value|. ]\n",
        {"value": "yes"},
        {"include": ".{{value}}. {{= | | =}} .|value|."},
        "[ .yes.  .yes. ]\n[ .yes.  .|value|. ]\n",
    ),
}


def check(cases):
    for name in sorted(cases):
        template, context, expected = cases[name]
        assert render(template, context) == expected, (name, render(template, context))


def test_interpolation():
    check(INTERPOLATION)


def test_sections():
    check(SECTIONS)


def test_inverted_sections():
    check(INVERTED)


def test_comments():
    check(COMMENTS)


def test_delimiters():
    check(DELIMITERS)


def test_partials():
    for name in sorted(PARTIALS):
        template, context, partials, expected = PARTIALS[name]
        result = render(template, context, partials)
        assert result == expected, (name, result)


def test_a_configuration_file():
    template = """\
# back ends of {{name}}
{{#Web}}
server {{ip}}:{{port}};{{! as many as there are }}
{{/Web}}
{{^Web}}
# none
{{/Web}}
"""
    webs = [{"ip": "10.0.0.1", "port": "80"}, {"ip": "10.0.0.2", "port": "81"}]
    assert render(template, {"name": "lb", "Web": webs}) == (
        "# back ends of lb\nserver 10.0.0.1:80;\nserver 10.0.0.2:81;\n"
    )
    assert render(template, {"name": "lb", "Web": []}) == "# back ends of lb\n# none\n"


def failure(template, partials=None):
    try:
        render(template, {"a": True}, partials)
    except MustacheError as error:
        return error.line, error.args[0]
    return None


def test_errors_name_the_line():
    assert failure("x\n{{#a}}\ny") == (2, "template, line 2: section a is not closed")
    assert failure("x\n\n{{/a}}") == (3, "template, line 3: section a is not open here")
    assert failure("{{#a}}{{#b}}\n{{/a}}") == (2, "template, line 2: section a is not open here")
    assert failure("x\ny {{a") == (2, "template, line 2: tag is not closed")
    assert failure("{{{a}}") == (1, "template, line 1: tag is not closed")
    assert failure("{{=|=}}") == (1, "template, line 1: two delimiters are expected")
    assert failure("x\n{{ }}") == (2, "template, line 2: this is no name: nothing")
    assert failure("{{#each a}}{{/each}}") == (1, "template, line 1: this is no name: each a")
    assert failure("{{>p}}", {"p": "\n{{#x}}"}) == (2, "partial p, line 2: section x is not closed")


def test_a_partial_without_end_is_refused():
    assert failure("{{>p}}", {"p": "x{{>p}}"}) == (1, "partial p has no end")


def test_optional_parts_of_the_language_are_refused():
    for tag in ("<parent", "$block"):
        expected = "template, line 1: inheritance is not supported: " + tag
        assert failure("{{" + tag + "}}{{/" + tag[1:] + "}}") == (1, expected)
    expected = "template, line 2: the name of a partial cannot be a value: *a"
    assert failure("\n{{>*a}}") == (2, expected)
