"""The generated part of the corpus: every type with every operation we could think of. Deterministic, no tables needed."""

LITERALS = {
    "bool": ["true", "f", "on", "maybe"],
    "int2": ["0", "-32768", "40000", "x"],
    "int4": ["1", "-7", "2147483648", ""],
    "int8": ["9007199254740993", "-1", "1e3"],
    "numeric": ["1.50", "-0.000001", "NaN", "1e30", "Infinity"],
    "float4": ["1.5", "1e-30", "-Infinity"],
    "float8": ["0.1", "1e300", "NaN", "1e400"],
    "text": ["abc", "", "äöü €", "it''s", "2020-01-01", "12"],
    "varchar(3)": ["abc", "abcd"],
    "char(5)": ["ab", "abcdef"],
    "bytea": ["\\x00ff41", "abc", "\\xzz"],
    "date": ["2020-02-29", "infinity", "2021-02-29", "0044-03-15 BC"],
    "time": ["12:34:56.789", "24:00:00", "25:00"],
    "timetz": ["12:34:56+02"],
    "timestamp": ["2020-01-02 03:04:05.678", "epoch", "-infinity"],
    "timestamptz": ["2020-01-02 03:04:05+05:30", "2020-06-01 12:00 Europe/Berlin"],
    "interval": ["1 year 2 months 3 days 04:05:06.7", "-1 day", "P1Y2M", "3 fortnights"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "nope"],
    "json": ["{\"a\": [1, 2, {\"b\": null}]}", "[1,", "3"],
    "jsonb": ["{\"a\": [1, 2, {\"b\": null}], \"a\": 2}", "\"x\"", "{bad}"],
    "int4[]": ["{1,2,NULL}", "{{1,2},{3,4}}", "{1,{2}}", "{}"],
    "text[]": ["{a,\"b c\",NULL}", "{}"],
    "int4range": ["[1,5)", "empty", "(,3]", "[5,1]"],
    "numrange": ["(1.5,2.5]"],
    "daterange": ["[2020-01-01,2020-02-01]"],
    "tstzrange": ["[2020-01-01,)"],
    "int4multirange": ["{[1,3),[5,8)}", "{}"],
    "inet": ["192.168.1.5/24", "::1", "300.1.1.1"],
    "cidr": ["10.0.0.0/8", "10.1.2.3/8"],
    "macaddr": ["08:00:2b:01:02:03"],
    "bit(4)": ["1010", "101"],
    "varbit": ["10101", "2"],
    "money": ["12.34", "-1,000.50"],
    "point": ["(1,2)", "1"],
    "box": ["(1,1),(0,0)"],
    "circle": ["<(0,0),2>"],
    "tsvector": ["fat:1A cat:2 rat", "''"],
    "tsquery": ["fat & !rat", "cat <-> (rat | dog)", "&"],
    "regclass": ["pg_class", "nothing_there"],
    "oid": ["17", "-1"],
    "name": ["a_name"],
    "xml": ["<a>1</a>", "<a>"],
    "jsonpath": ["$.a[*] ? (@ > 1)", "$["],
    "pg_lsn": ["16/B374D848"],
}

OPERATORS = {
    "int4": (["7", "-3", "0"], ["+", "-", "*", "/", "%", "<", "<=", "=", "<>", ">=", ">", "&", "|", "#", "<<", ">>"]),
    "int8": (["7", "-3", "0", "9223372036854775807"], ["+", "-", "*", "/", "%", "<", "="]),
    "numeric": (["7.50", "-3.25", "0", "NaN"], ["+", "-", "*", "/", "%", "<", "=", ">=", "^"]),
    "float8": (["7.5", "-2", "0", "Infinity"], ["+", "-", "*", "/", "<", "=", "^"]),
    "text": (["abc", "b", "", "äb"], ["||", "<", "=", ">", "~", "~*", "!~", "~~", "!~~", "^@"]),
    "bytea": (["\\x01", "\\x0203"], ["||", "<", "="]),
    "date": (["2020-02-29", "2021-01-01"], ["-", "<", "=", ">"]),
    "timestamp": (["2020-02-29 10:00", "2021-01-01"], ["-", "<", "=", ">"]),
    "interval": (["1 day", "25 hours", "-1 month"], ["+", "-", "<", "=", ">"]),
    "jsonb": (["{\"a\": 1, \"b\": [1, 2]}", "{\"a\": 1}", "[1, 2]"], ["||", "@>", "<@", "=", "<"]),
    "int4[]": (["{1,2,3}", "{2}", "{}"], ["||", "@>", "<@", "&&", "=", "<"]),
    "int4range": (["[1,5)", "[5,9)", "[3,6)", "empty"], ["+", "-", "*", "@>", "<@", "&&", "<<", ">>", "&<", "-|-", "=", "<"]),
    "int4multirange": (["{[1,5)}", "{[2,3),[7,9)}"], ["+", "-", "*", "@>", "&&", "="]),
    "inet": (["192.168.1.0/24", "192.168.1.5"], ["<<", "<<=", ">>", "&&", "=", "<", "-"]),
    "varbit": (["1010", "0110"], ["||", "&", "|", "#", "="]),
    "point": (["(1,2)", "(3,4)"], ["+", "-", "*", "/", "<->", "~="]),
    "tsvector": (["a b:2", "b c"], ["||", "=", "<"]),
    "bool": (["t", "f"], ["=", "<>", "<", "and", "or"]),
    "money": (["1.50", "2.25"], ["+", "-", "/", "<"]),
    "uuid": (["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"], ["=", "<", ">"]),
}

EXPRESSIONS = r"""
length(%t) | upper(%t) | lower(%t) | initcap(%t) | reverse(%t) | md5(%t) | ascii(%t) | btrim(%t, 'ab') | ltrim(%t, 'a') | rtrim(%t, 'c')
left(%t, 2) | right(%t, -1) | lpad(%t, 8, 'xy') | rpad(%t, 2) | repeat(%t, 3) | replace(%t, 'b', 'BB') | translate(%t, 'abc', 'xy')
substr(%t, 2) | substring(%t from 2 for 1) | substring(%t from 'b.*') | position('b' in %t) | strpos(%t, 'c') | overlay(%t placing 'ZZ' from 2)
split_part(%t, 'b', 1) | string_to_array(%t, 'b') | regexp_replace(%t, '[a-c]', '<\&>', 'g') | regexp_match(%t, '(.)(.)') | regexp_split_to_array(%t, 'b')
regexp_count(%t, '.') | regexp_substr(%t, '[b-z]') | starts_with(%t, 'a') | quote_ident(%t) | quote_literal(%t) | quote_nullable(null::text) | to_hex(length(%t))
encode(convert_to(%t, 'UTF8'), 'base64') | encode(sha256(convert_to(%t, 'UTF8')), 'hex') | octet_length(%t) | bit_length(%t) | chr(64 + length(%t)) | concat_ws(',', %t, null, 1)
format('%%s|%%I|%%L|%%5s|%%-5s|', %t, %t, %t, %t, %t) | unistr('\0061' || %t) | normalize(%t) | %t is normalized | %t collate "C" < 'b' | to_tsvector('english', %t) | plainto_tsquery('english', %t)
abs(%n) | ceil(%n) | floor(%n) | round(%n) | round(%n, 1) | trunc(%n, 1) | sign(%n) | sqrt(abs(%n)) | cbrt(%n::float8) | exp(1.0 + 0 * %n) | ln(1 + abs(%n)) | log(1 + abs(%n)) | power(%n, 2)
mod(%n, 2) | div(%n, 2) | width_bucket(%n, 0, 10, 5) | scale(%n) | min_scale(%n) | trim_scale(%n) | gcd(12, %n::int) | lcm(4, %n::int) | factorial(5) | degrees(%n::float8) | sin(%n::float8)::numeric(10,8) | atan2(1, %n::float8)::numeric(10,8)
to_char(%n, 'FM999,990.00') | to_char(%n, 'S9.99EEEE') | to_char(%n, 'RN') | to_number('1,234.5', '9,999.9') + %n | %n between 0 and 5 | %n::int | %n::text | (%n * 100)::int8 | random() < 2 | numeric_send(%n) is null
extract(year from %d) | extract(epoch from %d) | date_part('dow', %d) | date_trunc('month', %d) | age(%d, timestamp '2000-01-01') | to_char(%d, 'YYYY-MM-DD HH24:MI:SS.MS Day Month Q IW') | %d + interval '1 month' | %d - interval '40 days' | %d::date | %d::time
date_bin('15 minutes', %d, timestamp '2000-01-01') | make_date(2020, 2, 29) | make_interval(days => 3) | justify_hours(interval '50 hours') | isfinite(%d) | %d at time zone 'Asia/Tokyo' | (%d, %d + interval '1 day') overlaps (%d, %d) | to_timestamp(0) | to_date('05 Dec 2000', 'DD Mon YYYY') | extract(isodow from %d)
%j->'a' | %j->>'a' | %j#>'{a,0}' | %j#>>'{b,1}' | %j ? 'a' | %j ?| array['x', 'b'] | %j - 'a' | %j #- '{b,0}' | jsonb_typeof(%j) | jsonb_pretty(%j) | jsonb_set(%j, '{a}', '9') | jsonb_insert(%j, '{b,0}', '7') | jsonb_strip_nulls(%j) | jsonb_path_query_array(%j, '$.b[*]') | %j @? '$.a' | %j @@ '$.a == 1'
jsonb_array_length(%j->'b') | to_jsonb(%j) | %j::text | (%j->'a')::int | jsonb_build_array(1, %j, null) | jsonb_path_exists(%j, '$.b[*] ? (@ > 1)') | (%j)['a'] | jsonb_extract_path(%j, 'b') | row_to_json(row(1, %j)) | json_build_object('k', %j)
array_length(%a, 1) | cardinality(%a) | array_append(%a, 9) | array_prepend(0, %a) | array_cat(%a, %a) | array_remove(%a, 2) | array_replace(%a, 2, 5) | array_position(%a, 2) | array_positions(%a, 2) | array_to_string(%a, '-', '*') | array_dims(%a) | (%a)[1] | (%a)[2:3] | 2 = any(%a) | 2 > all(%a) | array_lower(%a, 1) | trim_array(%a, 1) | %a || 4 | to_json(%a) | array_fill(1, array[2, 2])
lower(%r) | upper(%r) | isempty(%r) | lower_inc(%r) | upper_inf(%r) | range_merge(%r, int4range(10, 12)) | %r @> 3 | multirange(%r) | int4range(1, 3, '[]') * %r
host(%i) | masklen(%i) | netmask(%i) | network(%i) | broadcast(%i) | set_masklen(%i, 16) | abbrev(%i) | family(%i) | %i + 1 | inet_merge(%i, '192.168.2.1')
"""
SAMPLES = {"t": ["'abc'", "''", "'Ä b''c'", "null::text"], "n": ["1.5", "(-7)::numeric", "0.0", "null::numeric"],
           "d": ["timestamp '2020-02-29 13:14:15.5'", "timestamp '1999-12-31'", "null::timestamp"],
           "j": ["'{\"a\": 1, \"b\": [1, 2, 3]}'::jsonb", "'[]'::jsonb", "null::jsonb"],
           "a": ["array[1, 2, 3]", "'{}'::int[]", "array[null, 2]::int[]"], "r": ["int4range(1, 5)", "'empty'::int4range"],
           "i": ["inet '192.168.1.5/24'", "inet '::1'"]}


def quoted(text):
    return "'%s'" % (text if "''" in text else text.replace("'", "''"))


def casts():
    types = list(LITERALS)
    for source in types:
        for literal in LITERALS[source]:
            yield "select %s::%s as v, pg_typeof(%s::%s)" % (quoted(literal), source, quoted(literal), source)
        for target in types:
            if target != source:
                yield "select %s::%s::%s as v" % (quoted(LITERALS[source][0]), source, target)


def operators():
    for kind, (values, names) in OPERATORS.items():
        for name in names:
            for left in values:
                for right in values:
                    yield "select %s::%s %s %s::%s as v" % (quoted(left), kind, name, quoted(right), kind)


def expressions():
    for line in EXPRESSIONS.strip().split("\n"):
        for piece in line.split(" | "):
            text = piece.strip()
            kind = next((k for k in SAMPLES if "%" + k in text), None)
            for sample in SAMPLES[kind] if kind else ["-"]:
                yield "select %s as v" % text.replace("%%", "\0").replace("%%%s" % (kind or "?"), sample).replace("\0", "%")


def scripts():
    """name -> list of statements"""
    return {"casts": list(casts()), "operators": list(operators()), "expressions": list(expressions())}
