"""What older servers do otherwise than PostgreSQL 15, on which the cases were recorded: nothing of it is the source's doing."""
import re

NEEDS = {
    "modes_a": (14, "multiranges"), "modes_b": (14, "multiranges"), "modes_c": (14, "multiranges"), "modes_d": (14, "multiranges"),
    "types_scalar": (14, "multiranges"),
    "transactions": (14, "logical messages by pgoutput"),
}

# Before 15 a scale is not negative: the case has the value without one, and so must the events have it.
SCALES = {"types_scalar": [("numeric(4,-2)", "numeric(4,0)")]}
SCALE_TEXTS = [('"scale":"-2"', '"scale":"0"'), ('"nneg":"DA=="', '"nneg":"BLA="')]


def lacks(case, major):
    """Why a server of this version cannot run the case; None: it can."""
    needed, what = NEEDS.get(case, (0, ""))
    return "PostgreSQL %d has no %s" % (major, what) if major < needed else None


def replaced(text, pairs):
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def statements(case, major, sql):
    """The case's SQL as this version takes it."""
    return replaced(sql, SCALES.get(case, [])) if major < 15 else sql


def events(case, major, records):
    """The events that are expected of `statements`."""
    if major >= 15 or case not in SCALES:
        return records
    for r in records:
        r.value = r.value and re.sub("|".join(re.escape(old) for old, _ in SCALE_TEXTS),
                                     lambda m: dict(SCALE_TEXTS)[m.group()], r.value)
    return records


def tells_all_transactions(major):
    """
    Whether a transaction of which nothing is published is told by its begin and its commit, the moment it begins: before 15. So a
    commit may come before the first event, and the begin of a transaction has a place of its own in the log.
    """
    return major < 15
