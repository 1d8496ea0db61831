# cython: language_level=3
"""From a pattern to a tree (`Parser`), from there to positions and what may follow each (Glushkov:
`Positions`), and to the table of a deterministic automaton (`tabulate`).

Sets of bytes and of positions are Python's integers, a bit for each member. Nothing here runs when requests
do: what is bounded is how long compiling may take, and how large the table gets.
"""

from array import array

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

cdef enum:
    PATTERN_MAX = 4096        # bytes
    DEPTH_MAX = 50            # groups in groups
    REPEATS_MAX = 1000        # of one counted repetition
    POSITIONS_MAX = 2048      # bytes that a pattern names, repetitions written out
    TABLE_MAX = 65535         # entries: 128 KiB
    WORK_MAX = 60000          # steps of compiling: some milliseconds


class RegexError(ValueError):
    pass


# Of Python's numbers: a literal would be one of C's.
cdef object ONE = int("1")
cdef object ALL = (ONE << 256) - 1
cdef object DIGIT = between(c"0", c"9")
cdef object SPACE = one(c" ") | between(9, 13)
cdef object LOWER = between(c"a", c"z")
cdef object UPPER = between(c"A", c"Z")
cdef object WORD = DIGIT | LOWER | UPPER | one(c"_")
cdef dict PERL = {
    "d": DIGIT, "D": ALL & ~DIGIT, "s": SPACE, "S": ALL & ~SPACE, "w": WORD, "W": ALL & ~WORD,
}
cdef dict CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "a": 7}
cdef dict POSIX = {
    "alnum": DIGIT | LOWER | UPPER, "alpha": LOWER | UPPER, "ascii": between(0, 127),
    "blank": one(c" ") | one(9), "cntrl": between(0, 31) | one(127), "digit": DIGIT,
    "graph": between(33, 126), "lower": LOWER, "print": between(32, 126),
    "punct": between(33, 126) & ~(DIGIT | LOWER | UPPER), "space": SPACE, "upper": UPPER, "word": WORD,
    "xdigit": DIGIT | between(c"a", c"f") | between(c"A", c"F"),
}


cdef object one(int byte):
    return ONE << byte


cdef object between(int low, int high):
    return (ONE << high + 1) - (ONE << low)


cdef object either_case(object members):
    """The same letters, large and small."""
    return members | (members & UPPER) << 32 | (members & LOWER) >> 32


# ---- the tree: tuples whose first part says what they are

cdef enum:
    SET, CAT, ALT, REPEAT, START, END


cdef class Parser:
    cdef str text
    cdef Py_ssize_t at
    cdef int depth
    cdef bint any_case, dot_all

    def __init__(self, bytes pattern not None):
        if len(pattern) > PATTERN_MAX:
            raise RegexError(f"longer than {PATTERN_MAX} bytes")
        try:
            self.text = pattern.decode()
        except UnicodeDecodeError as error:
            raise RegexError("not UTF-8") from error

    cdef str peek(self):
        return self.text[self.at] if self.at < len(self.text) else ""

    cdef bint take(self, str what):
        if not self.text.startswith(what, self.at):
            return False
        self.at += len(what)
        return True

    cdef str take_until(self, str end):
        cdef Py_ssize_t found = self.text.find(end, self.at)
        if found < 0:
            raise RegexError(f"no {end!r} at the end of what begins at {self.at}")
        part = self.text[self.at:found]
        self.at = found + len(end)
        return part

    cdef tuple whole(self):
        while self.take("(?"):
            # Flags of the whole pattern; a group that is none of that follows otherwise.
            flags = self.text[self.at:self.text.find(")", self.at) + 1]
            if not flags or not set(flags[:-1]) <= set("ims") or len(flags) == 1:
                self.at -= 2
                break
            self.at += len(flags)
            self.any_case = self.any_case or "i" in flags
            self.dot_all = self.dot_all or "s" in flags
            if "m" in flags:
                raise RegexError("flag m: texts have one line")
        tree = self.alternatives()
        if self.at < len(self.text):
            raise RegexError(f"{self.peek()!r} at {self.at} closes nothing")
        return tree

    cdef tuple alternatives(self):
        cdef list found = [self.sequence()]
        while self.take("|"):
            found.append(self.sequence())
        return found[0] if len(found) == 1 else (ALT, found)

    cdef tuple sequence(self):
        cdef list found = []
        while self.peek() not in ("", "|", ")"):
            found.append(self.repeated(self.atom()))
        return found[0] if len(found) == 1 else (CAT, found)

    cdef tuple atom(self):
        cdef str char = self.peek()
        self.at += 1
        if char == "(":
            return self.group()
        if char == "[":
            return (SET, self.members())
        if char == "\\":
            return self.escape()
        if char == ".":
            return (SET, ALL if self.dot_all else ALL & ~one(10))
        if char == "^":
            return (START,)
        if char == "$":
            return (END,)
        if char in "*+?{":
            raise RegexError(f"{char!r} at {self.at - 1} repeats nothing")
        return self.literal(char)

    cdef tuple literal(self, str char):
        cdef list members = [self.cased(one(byte)) for byte in char.encode()]
        return (SET, members[0]) if len(members) == 1 else (CAT, [(SET, each) for each in members])

    cdef object cased(self, object members):
        return either_case(members) if self.any_case else members

    cdef tuple group(self):
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise RegexError(f"groups are nested more than {DEPTH_MAX} times")
        if self.take("?P<") or self.take("?<"):
            if not self.take_until(">").isidentifier():
                raise RegexError("a name of a group is no name")
        elif self.take("?") and not self.take(":"):
            raise RegexError(f"what begins with '(?' at {self.at - 2} is not supported")
        tree = self.alternatives()
        if not self.take(")"):
            raise RegexError("a group has no end")
        self.depth -= 1
        return tree

    cdef tuple repeated(self, tuple tree):
        cdef str char = self.peek()
        while char and char in "*+?{":
            self.at += 1
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(char) or self.counts()
            self.take("?")        # who takes less first matches the same whole texts
            tree = (REPEAT, tree, low, high)
            char = self.peek()
        return tree

    cdef tuple counts(self):
        low, comma, high = self.take_until("}").partition(",")
        if not is_number(low) or (high and not is_number(high)):
            raise RegexError("{ without the numbers of a repetition")
        least, most = int(low), (int(high) if high else None) if comma else int(low)
        if least > REPEATS_MAX or (most or 0) > REPEATS_MAX:
            raise RegexError(f"more than {REPEATS_MAX} repetitions")
        if most is not None and most < least:
            raise RegexError(f"a repetition from {least} to {most}")
        return least, most

    cdef tuple escape(self):
        cdef str char = self.peek()
        if char == "A":
            self.at += 1
            return (START,)
        if char == "z":
            self.at += 1
            return (END,)
        return (SET, self.cased(self.escaped()))

    cdef object escaped(self):
        """The bytes that the escape whose backslash was taken stands for."""
        cdef str char = self.peek()
        self.at += 1
        if char in PERL and char:
            return PERL[char]
        if char in CONTROLS and char:
            return one(CONTROLS[char])
        if char == "x":
            digits = self.take_until("}") if self.take("{") else self.text[self.at:self.at + 2]
            if self.text[self.at - 1] != "}":
                self.at += 2
            if not 1 <= len(digits) <= 8 or not set(digits) <= set("0123456789abcdefABCDEF"):
                raise RegexError("\\x without the digits of a number")
            if int(digits, 16) > 127:
                raise RegexError("\\x of more than ASCII is not supported")
            return one(int(digits, 16))
        if not char or char.isalnum() or ord(char) > 127:
            raise RegexError(f"\\{char} is not supported")
        return one(ord(char))

    cdef object members(self):
        """Of a class, whose bracket was taken."""
        cdef bint negated = self.take("^")
        cdef object found = 0
        cdef bint first = True
        while first or not self.take("]"):
            if self.take("[:"):
                found |= self.posix()
            else:
                found |= self.span(first)
            first = False
        found = self.cased(found)
        return ALL & ~found if negated else found

    cdef object posix(self):
        cdef str name = self.take_until(":]")
        members = POSIX.get(name.removeprefix("^"))
        if members is None:
            raise RegexError(f"[:{name}:] is not supported")
        return ALL & ~members if name.startswith("^") else members

    cdef object span(self, bint first):
        """One member, or those from one to another."""
        low = self.member()
        # A hyphen before the end stands for itself.
        if self.peek() != "-" or self.text[self.at + 1:self.at + 2] in ("]", ""):
            return low
        self.at += 1
        high = self.member()
        if low.bit_count() != 1 or high.bit_count() != 1 or low > high:
            raise RegexError("a class has a range that is none")
        return between(low.bit_length() - 1, high.bit_length() - 1)

    cdef object member(self):
        cdef str char = self.peek()
        cdef str two = self.text[self.at:self.at + 2]
        self.at += 1
        if char == "":
            raise RegexError("a class has no end")
        if char == "[" or two in ("&&", "--", "~~"):
            raise RegexError("classes of classes are not supported")
        if char == "\\":
            return self.escaped()
        if ord(char) > 127:
            raise RegexError("a class of more than ASCII is not supported")
        return one(ord(char))


cdef bint is_number(str text):
    return text.isascii() and text.isdigit() and len(text) < 6


cdef bint is_anchor(tuple tree):
    return tree[0] == START or tree[0] == END


cdef int check_anchors(tuple tree, bint leads, bint ends) except -1:
    """That ^ and $ stand where a whole text begins and ends: there they mean nothing more."""
    cdef Py_ssize_t i
    if tree[0] == START and not leads or tree[0] == END and not ends:
        raise RegexError("^ or $ within a pattern is not supported")
    if tree[0] == REPEAT:
        check_anchors(tree[1], False, False)
    elif tree[0] == ALT:
        for each in tree[1]:
            check_anchors(each, leads, ends)
    elif tree[0] == CAT:
        parts = tree[1]
        for i, each in enumerate(parts):
            check_anchors(
                each,
                leads and all(is_anchor(before) for before in parts[:i]),
                ends and all(is_anchor(after) for after in parts[i + 1:]),
            )
    return 0


# ---- positions

cdef class Positions:
    """What each position takes (`sets`), and which may come after it (`follow`)."""
    cdef list sets, follow
    cdef Py_ssize_t work

    def __cinit__(self):
        self.sets = []
        self.follow = []

    cdef int spend(self, Py_ssize_t steps) except -1:
        self.work += steps
        if self.work > WORK_MAX:
            raise RegexError("too complex")
        return 0

    cdef tuple build(self, tuple tree):
        """(may be empty, positions that it may begin with, and that it may end with)"""
        self.spend(1)
        if tree[0] == SET:
            if len(self.sets) >= POSITIONS_MAX:
                raise RegexError("too large")
            self.sets.append(tree[1])
            self.follow.append(0)
            position = ONE << len(self.sets) - 1
            return False, position, position
        if tree[0] == CAT:
            return self.in_turn(tree[1])
        if tree[0] == ALT:
            built = [self.build(each) for each in tree[1]]
            empty, first, last = False, 0, 0
            for part in built:
                empty, first, last = empty or part[0], first | part[1], last | part[2]
            return empty, first, last
        if tree[0] == REPEAT:
            return self.repeat(tree[1], tree[2], tree[3])
        return True, 0, 0

    cdef tuple in_turn(self, list trees):
        cdef tuple found = (True, 0, 0)
        for each in trees:
            found = self.join(found, self.build(each))
        return found

    cdef tuple join(self, tuple left, tuple right):
        self.link(left[2], right[1])
        return (
            left[0] and right[0],
            left[1] | right[1] if left[0] else left[1],
            left[2] | right[2] if right[0] else right[2],
        )

    cdef tuple repeat(self, tuple tree, int low, object high):
        cdef tuple found = (True, 0, 0)
        cdef int i
        cdef tuple part
        for i in range(low if high is not None or low == 0 else low - 1):
            found = self.join(found, self.build(tree))
        if high is None:
            part = self.build(tree)
            self.link(part[2], part[1])
            return self.join(found, (part[0] or low == 0, part[1], part[2]))
        for i in range(high - low):
            part = self.build(tree)
            found = self.join(found, (True, part[1], part[2]))
        return found

    cdef int link(self, object before, object after) except -1:
        if not after:
            return 0
        self.spend(before.bit_count())
        while before:
            lowest = before & -before
            self.follow[lowest.bit_length() - 1] |= after
            before ^= lowest
        return 0

    cdef object after(self, object positions):
        found = 0
        self.spend(positions.bit_count() + 1)
        while positions:
            lowest = positions & -positions
            found |= self.follow[lowest.bit_length() - 1]
            positions ^= lowest
        return found


cdef tuple classes_of(Positions positions):
    """Bytes that no set tells apart are one class: (the class of each byte, its positions for each class)."""
    cdef list members = [0] * 256
    cdef dict holders = {}
    cdef int byte
    for position, taken in enumerate(positions.sets):
        holders[taken] = holders.get(taken, 0) | ONE << position
    for taken, those in holders.items():
        positions.spend(64)
        for byte in range(256):
            if taken >> byte & 1:
                members[byte] |= those
    numbers = {}
    classes = bytes([numbers.setdefault(each, len(numbers)) for each in members])
    return classes, list(numbers)


cdef tuple tabulate(Positions positions, tuple whole):
    """(table, classes, start, accepting); states are told apart by what may come next and whether all may end
    there."""
    classes, masks = classes_of(positions)
    width = len(masks)
    dead = (0, False)
    start = (whole[1], whole[0])
    rows = {}
    waiting = [start]
    found = {dead, start}
    while waiting:
        state = waiting.pop()
        positions.spend(width)
        row = rows[state] = []
        for mask in masks:
            taken = state[0] & mask
            reached = (positions.after(taken), bool(taken & whole[2])) if taken else dead
            row.append(reached)
            if reached not in found:
                found.add(reached)
                waiting.append(reached)
                if (len(found) + 1) * width > TABLE_MAX:
                    raise RegexError("too large")
    order = [dead, *sorted((one for one in rows if one != dead), key=lambda one: one[1])]
    numbers = {state: at * width for at, state in enumerate(order)}
    table = array("H", [0] * width)
    for state in order[1:]:
        table.extend([numbers[reached] for reached in rows[state]])
    accepting = [numbers[state] for state in order if state[1]]
    return table.tobytes(), classes, numbers[start], min(accepting, default=65535)


cdef bytes exact_text(tuple tree):
    """The one text that the tree stands for, or None."""
    cdef list parts = list(tree[1]) if tree[0] == CAT else [tree]
    cdef list found = []
    for each in parts:
        if is_anchor(each):
            continue
        if each[0] == CAT:
            text = exact_text(each)
            if text is None:
                return None
            found.append(text)
        elif each[0] == SET and each[1].bit_count() == 1:
            found.append(bytes([each[1].bit_length() - 1]))
        else:
            return None
    return b"".join(found)


cdef bytes prefix_of(tuple tree):
    """What a tree begins with that is one text."""
    cdef list found = []
    for each in tree[1] if tree[0] == CAT else [tree]:
        text = exact_text(each)
        if text is None:
            break
        found.append(text)
    return b"".join(found)


cdef class Regex:
    def __init__(self, bytes pattern not None):
        cdef Positions positions
        self.pattern = pattern
        tree = Parser(pattern).whole()
        check_anchors(tree, True, True)
        self.exact = exact_text(tree)
        if self.exact is not None:
            self.prefix = self.exact
            return
        self.prefix = prefix_of(tree)
        positions = Positions()
        whole = positions.build(tree)
        self.table, self.classes, self.dfa.start, self.dfa.accepting = tabulate(positions, whole)
        self.dfa.next = <const uint16_t*> PyBytes_AS_STRING(self.table)
        self.dfa.classes = <const uint8_t*> PyBytes_AS_STRING(self.classes)

    @property
    def size(self):
        """Bytes of its tables."""
        return 0 if self.table is None else PyBytes_GET_SIZE(self.table) + PyBytes_GET_SIZE(self.classes)

    def matches(self, bytes text not None):
        """Whether it matches the whole of `text`."""
        if self.exact is not None:
            return text == self.exact
        return dfa_matches(&self.dfa, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    def __repr__(self):
        return f"<Regex {self.pattern!r}>"
