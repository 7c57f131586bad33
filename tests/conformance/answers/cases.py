"""How a case is written down. The files cases_*.py have them."""


class Case:
    """run(side, version) asks; what was asked and answered on one side is compared with the other's."""

    def __init__(self, name, api, run, versions=None):
        self.name, self.api, self.run, self.versions = name, api, run, versions

    def each(self, low, high):
        """The versions that it is tried with: the lowest, a middle one, the highest; or the case's own as far as they are there."""
        wanted = self.versions or sorted({low, (low + high) // 2, high})
        return [v for v in wanted if low <= v <= high]


CASES = []


def case(api, name, versions=None):
    """Decorates a function (side, version)."""
    def add(run):
        CASES.append(Case("%s: %s" % (api, name), api, run, versions))
        return run
    return add


def ask(api, name, body, versions=None):
    """One request; its body may be a function of side and version."""
    def run(s, v):
        s.ask(api, v, body(s, v) if callable(body) else body)
    case(api, name, versions)(run)


def since(versions, first):
    return [v for v in versions if v >= first]


BAD_NAMES = {"empty": "", "dot": ".", "two dots": "..", "slash": "a/b", "250 letters": "n" * 250, "umlaut": "ä"}
