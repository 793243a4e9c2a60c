"""Expressions as text with holes for others: what the language can say, by the type of its value.

A word in capitals is a hole. `INT`, `STRS`, `ITEM` and the like hold an expression of that type; `TAG` is a
number that no other call has, `DIGIT` one from 1 to 9, `TINY` from -3 to 3, `HALF` a multiple of a half,
`VECTOR` an array of two numbers that sums and halves keep exact, zeros of either sign among them,
`PLACE` a position that may lie outside of a list, `WORD` a short text; `RISK` may fail. A number in front
says how often a line is taken next to the others, 1 where there is none.
"""

from collections.abc import Mapping

from flowc.compiler import syntax as s
from flowc.testing.strategies.trees import PLACE, ref

TYPES: Mapping[str, s.TypeRef] = {
    "INT": ref("int"), "FLOAT": ref("float"), "STR": ref("str"), "BOOL": ref("bool"),
    "INTS": ref("list", ref("int")), "STRS": ref("list", ref("str")), "FLOATS": ref("list", ref("float")),
    "ITEM": ref("Item"), "ITEMS": ref("list", ref("Item")), "PARCEL": ref("Parcel"), "MOOD": ref("Mood"),
    "VECTOR": ref("f64", s.Dimension("_", span=PLACE)),
    "TABLE": ref("dict", ref("str"), ref("int")), "MAYBE": ref("int", optional=True), "JSON": ref("json"),
}  # fmt: skip
"""The types of expressions, by the name of their holes."""

CONSTANTS: Mapping[str, str] = {
    "INT": "0; 1; 2; -1; 3; -4; 5; 6; 7; -8; 9; 40",
    "FLOAT": "0.0; 0.25; -0.5; 1.0; 1.5; -2.0",
    "STR": "''; 'a'; 'be'; 'sea'; 'Dee. e'",
    "BOOL": "false; true",
    "INTS": "[0]; [1, 2]; [-3, 8, 1]",
    "STRS": "['']; ['a', 'be']; ['s', 'sea', 'a']",
    "FLOATS": "[0.0]; [0.5, -1.25]; [2.0, 0.25, 1.0]",
    "ITEM": "Item('a', 1); Item(size=2, label='s')",
    "ITEMS": "[Item('a', 1)]; [Item('b', 3), Item('a', 2)]",
    "PARCEL": "Parcel(item=Item('a', 1), notes=['n'], key=2, mark=none, kind=Mood.calm)",
    "MOOD": "Mood.calm; Mood.keen; Mood.bored",
    "TABLE": "{'k': 1}; {'k': 2, 'a': 3}",
    "VECTOR": "f64([0.0, 1.0]); f64([0.5, -2.0]); f64([1.5, 0.25])",
    "MAYBE": "get({'k': 1}, 'k'); get({'k': 1}, 'x')",
    "JSON": "to_json(1); parse_json('[1, null]')",
    "DIGIT": "1; 2; 3; 4; 5; 6; 7; 8; 9",
    "TINY": "0; 1; 2; 3; -1; -2; -3",
    "HALF": "0.0; 0.5; 1.0; -0.5; 1.5; -2.0",
    "PLACE": "0; 1; 2; 3; 4; 5",
    "WORD": "'k'; 'a'; 'xy'",
}  # fmt: skip
"""What stands where nothing deeper may, the simplest first."""

_UNARY = """
    sqrt(abs(X)) rsqrt(abs(X)+1.0) exp(tanh(X)) exp2(tanh(X)) expm1(tanh(X)) log(abs(X)+1.0) log2(abs(X)+1.0)
    log10(abs(X)+1.0) log1p(abs(X)) sin(X) cos(X) tan(tanh(X)) asin(tanh(X)) acos(tanh(X)) atan(X) erf(X)
    sinh(tanh(X)) cosh(tanh(X)) tanh(X) asinh(X) acosh(abs(X)+1.0) atanh(tanh(X)*0.5) sigmoid(X) cbrt(X)
    atan2(X,abs(X)+1.0) hypot(X,abs(X)+1.0)
"""
SMOOTH: tuple[str, ...] = tuple(_UNARY.split())
"""Functions of one number, each finite for every `X` and nowhere steep."""

FORMS: Mapping[str, str] = {
    "INT": """
        3 INT + INT
        3 INT - INT
        2 INT * TINY
        INT // DIGIT
        2 INT % DIGIT
        2 (INT % DIGIT) ** 2
        -INT
        2 +INT
        int(i32(DIGIT) + 1)
        2 INT if BOOL else INT
        2 len(STR)
        len(INTS)
        STRS.len()
        len(TABLE)
        2 sum(INTS)
        prod([INT, TINY])
        min(INT, INT)
        max(INT, INT)
        max(INTS + [INT])
        int(FLOAT)
        int(str(INT))
        floor(FLOAT)
        ceil(FLOAT)
        round(FLOAT)
        abs(INT)
        sign(INT)
        3 ITEM.size
        first(ITEMS + [ITEM]).size
        PARCEL.key + PARCEL.item.size
        get(TABLE, WORD, INT)
        {'k': INT}['k']
        2 or_else(MAYBE, INT)
        count(INTS, INT)
        index(INTS + [INT, 7], 7)
        first([INT])
        last(INTS + [INT])
        (INTS + [INT])[-1]
        majority([INT, INT, INT])
        find(STR, 'a')
        int(i64(DIGIT) + i32(DIGIT))
        int(i16(DIGIT) * i8(TINY))
        int(u8(DIGIT))
        int(f16(HALF) + f32(HALF))
        int(bf16(HALF))
        size(f64(FLOATS + [FLOAT]))
        int(argmax(f64([FLOAT, 1.5])))
        int(i64([DIGIT, TINY]) @ i64([TINY, DIGIT]))
        len(elements(describe(TAG, INT).words))
        int(describe(TAG, INT).n)
        int(to_json(INT))
        3 twist(TAG, INT)
        3 fetch(TAG, INT)
        2 peek(TAG)
        3 keep(TAG, INT)
        2 book(TAG, INT)
        2 pin(TAG, INT)
        2 recall(TAG, INT)
        scale(TAG, INT)
        scale(x=INT, tag=TAG, by=DIGIT)
        2 blend(INT, INT)
        2 join_up(INT, INT)
        2 looked_up(TAG)
        looked_up(TAG, x=INT)
        2 steady(TAG, INT)
        2 settled(TAG, STR)
        3 rate(TAG, STR)
        2 weigh(TAG, STR)
        2 grade(TAG, STR)
        2 grade(TAG, refine(TAG, STR))
        2 int(sum(VECTOR))
        len(quote(TAG, STR))
        2 int(execute(endorse(devise(TAG, STR), 'its tools are pure'))[0])
        2 try RISK else INT
        consult(TAG, INT)
        admit(TAG, declassify(INT, 'few may know', to='low'))
        tell(TAG, endorse(STR, 'it was read'))
        tell(TAG, 'as written')
        publish(TAG, declassify(STR, 'it is known'))
        2 checked_over(endorse(STR, 'it was read'), declassify(INT, 'it is low', to='low'))
        declassify(endorse(INT, 'a number'), 'a number')
        Badge(endorse(STR, 'its owner'), declassify(INT, 'it is low', to='low')).level
    """,
    "RISK": """
        3 INTS[PLACE]
        2 falter(TAG, INT)
        first([x for x in INTS if x > 2])
        last([x for x in INTS if x < 0])
        index(INTS, INT)
        int(STR)
        int(parse_json(STR))
        TABLE[WORD]
        int(JSON)
        DIGIT // (INT - 5)
        int(FLOAT / (FLOAT * HALF))
        rate(TAG, STR) + falter(TAG, INT)
        int(describe(TAG, INT).words)
    """,
    "FLOAT": f"""
        3 FLOAT + FLOAT
        2 FLOAT - FLOAT
        2 FLOAT * HALF
        2 INT / DIGIT
        2 float(INT)
        abs(FLOAT)
        -FLOAT
        FLOAT if BOOL else FLOAT
        mean([INT, INT])
        mean(FLOATS + [FLOAT])
        sum(FLOATS)
        3 agreement([INT, INT, INT])
        round(FLOAT, 2)
        2 float(sum(VECTOR)) + 0.0
        float(VECTOR[0]) + 0.0
        float(max(VECTOR)) + 0.0
        minimum(FLOAT, FLOAT)
        maximum(FLOAT, FLOAT)
        where(BOOL, FLOAT, FLOAT)
        float(str(HALF))
        2 or_else(PARCEL.mark, HALF)
        float(f64([HALF, HALF])[1:][0])
        2 float(sum(f32([[HALF, HALF], [HALF, HALF]])[:, 0]))
        float(embed([STR])[0][1])
        float(max(embed([STR, WORD]) @ embed([STR]).T))
        float(topk(embed([STR, WORD])[:, 0], 1).values[0])
        {chr(10).join(each.replace("X", "HALF") for each in SMOOTH)}
    """,
    "STR": """
        3 (STR + WORD)[:12]
        2 f'n{INT}>'[:12]
        f'{STR} and {BOOL}'[:12]
        f'{{{MOOD}{INTS}'[:12]
        f'<{ITEM}>'[:12]
        f'{FLOAT}'[:3]
        STR if BOOL else STR
        upper(STR)
        STR.lower()
        strip(STR)
        strip(STR, 's')
        2 str(INT)
        str(BOOL)
        join('-', STRS)[:12]
        2 ITEM.label
        PARCEL.item.label
        replace(STR, 'a', 'bc')[:12]
        first(split(STR + ' x'))
        split(STR, 'e')[0]
        last(lines(STR + 'a'))
        first(sentences(STR + 'a. b'))
        STR[1:3]
        (STR + 'a')[0]
        3 spell(TAG, INT)
        2 draft(TAG, STR)
        refine(TAG, STR)
        2 refine(TAG, draft(TAG, STR))
        2 judge(TAG, STR, INT).label
        confide(TAG)
        quote(TAG, STR)[0]
        str(describe(TAG, INT).words[0])
        endorse(STR, 'it was read')
    """,
    "BOOL": """
        2 INT < INT
        2 INT == INT
        INT <= INT
        INT > DIGIT
        INT >= INT
        INT != INT
        FLOAT < FLOAT
        STR < STR
        STR == STR
        2 TINY < INT <= DIGIT
        BOOL and BOOL
        BOOL or BOOL
        not BOOL
        2 MOOD == MOOD
        MOOD != MOOD
        ITEM == ITEM
        INT in INTS
        INT not in INTS
        'a' in STR
        STRS.contains(STR)
        startswith(STR, 's')
        endswith(STR, WORD)
        MAYBE is none
        MAYBE is not none
        PARCEL.mark is none
        bool(INT)
        isnan(FLOAT)
        isfinite(FLOAT)
        any([BOOL, BOOL])
        all([BOOL, BOOL])
        2 allow(TAG, STR)
        2 arrived(TAG, STR)
    """,
    "INTS": """
        3 (INTS + [INT])[:5]
        2 append(INTS[:5], INT)
        4 MAP_INT
        sorted(INTS)
        sorted(INTS, reverse=true)
        reversed(INTS)
        unique(INTS)
        range(PLACE)
        range(TINY, DIGIT, 2)
        concat(INTS, INTS)[:5]
        flatten([INTS, [INT]])[:5]
        values(TABLE)
        INTS[1:]
        2 INTS[::2]
        [int(e) for e in elements(to_json(INTS))]
    """,
    "STRS": """
        2 (STRS + [STR])[:5]
        append(STRS[:4], STR)
        4 MAP_STR
        sorted(STRS)
        reversed(STRS)
        keys(TABLE)
        split(STR, 'e')
        PARCEL.notes
        quote(TAG, STR)
        [upper(e) for e in STRS]
    """,
    "FLOATS": """
        2 (FLOATS + [FLOAT])[:5]
        2 MAP_FLOAT
        sorted(FLOATS)
        [float(e) for e in INTS]
        [float(e) for e in f64(FLOATS + [FLOAT]) * HALF]
    """,
    "ITEM": """
        3 Item(STR, size=INT)
        2 judge(TAG, STR, INT)
        PARCEL.item
        last(ITEMS + [ITEM])
        ITEM if BOOL else ITEM
    """,
    "ITEMS": """
        2 append(ITEMS[:3], ITEM)
        MAP_ITEM
        sorted(ITEMS, by='size')
        [e for e in ITEMS if e.size > DIGIT]
    """,
    "PARCEL": """
        2 survey(TAG, INT)
        Parcel(item=ITEM, notes=STRS, key=INT, mark=FLOAT, kind=MOOD)
    """,
    "MOOD": """
        3 feel(TAG, STR)
        2 sense(TAG, STR)
        4 vote(QUIET, max=3, lead=2)
        PARCEL.kind
        MOOD if BOOL else MOOD
    """,
    "QUIET": """
        feel(TAG, STR)
        sense(TAG, STR)
    """,
    "VECTOR": """
        2 VECTOR + VECTOR
        VECTOR - VECTOR
        2 VECTOR * HALF
        VECTOR * f64(DIGIT)
        3 VECTOR + f64(INT)
        3 f64([float(INT), HALF])
        maximum(VECTOR, VECTOR)
        minimum(VECTOR, VECTOR)
        abs(VECTOR)
        -VECTOR
        VECTOR[::-1]
        sort(VECTOR)
        where(VECTOR < VECTOR, VECTOR, VECTOR)
        VECTOR if BOOL else VECTOR
    """,
    "TABLE": """
        2 {'k': INT, 'b': INT}
        2 put(TABLE, WORD, INT)
    """,
    "MAYBE": """
        2 INT if BOOL else none
        get(TABLE, WORD)
        MAYBE if BOOL else INT
    """,
    "JSON": """
        to_json(INTS)
        to_json(ITEM)
        parse_json('[1, {"a": 2}]')
        describe(TAG, INT)
    """,
}
"""What gives a value of each type."""
