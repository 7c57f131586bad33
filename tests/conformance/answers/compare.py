"""What two answers have in common, once what varies by nature is set aside."""
import json

# Field: how much of it is compared, and why not all.
#   presence: null, empty, zero or something.   sign: -1, 0 or more.   nothing: not at all
VARIES = {
    "clusterId": ("presence", "each cluster has its own"),
    "topicId": ("presence", "random"),
    "memberId": ("presence", "random, but for what the request named"),
    "leader": ("presence", "a member's id"),
    "producerId": ("sign", "numbered by the broker"),
    "errorMessage": ("nothing", "our words, not Kafka's; where Kafka has none we may have some"),
    "batchIndexErrorMessage": ("nothing", "likewise"),
    "sessionId": ("presence", "random"),
    "transactionStartTimeMs": ("sign", "a time"),
    "host": ("presence", "an address"),
    "port": ("sign", "an address"),
    "throttleTimeMs": ("sign", "a time"),
    "clientHost": ("presence", "an address"),
    "logAppendTimeMs": ("sign", "a time"),
    "timestamp": ("sign", "a time"),
    "rack": ("nothing", "a setting of the broker"),
    "apiKeys": ("presence", "what is offered is compared by itself (test_answers.py)"),
    "supportedFeatures": ("nothing", "features of a cluster's own, as metadata.version, are not ours"),
    "finalizedFeatures": ("nothing", "likewise"),
    "finalizedFeaturesEpoch": ("sign", "counts the cluster's changes"),
    "logDir": ("nothing", "a path"),
    "totalBytes": ("sign", "a disk's size"),
    "usableBytes": ("sign", "a disk's size"),
    "size": ("sign", "bytes of a log: index files and batches by each one's own rules"),
    "brokerId": ("sign", "the node's number"),
    "nodeId": ("sign", "the node's number"),
    "controllerId": ("sign", "the node's number"),
    "leaderId": ("sign", "the node's number"),
    "coordinatorEpoch": ("sign", "counts the coordinator's starts"),
}


# Settings of topics that Kafka does not have; and those that the two were started with otherwise: of Kafka's cluster
# min.insync.replicas is set when it is formatted.
OWN_SETTINGS = {"durability", "quota.produce.bytes.per.second", "quota.stored.bytes"}
SET_OTHERWISE = {"min.insync.replicas"}


def setting(value):
    """A topic's setting as far as it is compared; None: not at all."""
    if value["name"] in OWN_SETTINGS:
        return None
    return dict(value, configSource="*") if value["name"] in SET_OTHERWISE and "configSource" in value else value


def presence(value):
    empty = value in (None, "", 0, [], "AAAAAAAAAAAAAAAAAAAAAA")
    return value if empty else "something"


def sign(value):
    return value if value is None or value < 1 else "more than 0"


HOW = {"presence": presence, "sign": sign, "nothing": lambda value: "*"}


def common(answer, known, field=None):
    """The answer with what varies made the same. Lists are in no order: Kafka's come out of hash tables."""
    if VARIES.get(field, ("",))[0] != "sign" and field in VARIES and isinstance(answer, list):
        return HOW[VARIES[field][0]](answer)
    if isinstance(answer, dict):
        return {k: common(v, known, k) for k, v in answer.items()}
    if isinstance(answer, list):
        if field == "configs":
            answer = [s for s in map(setting, answer) if s is not None]
        items = [common(v, known, field) for v in answer]
        return sorted(items, key=json.dumps)
    if str(answer) in known and (isinstance(answer, str) or field == "producerId"):
        return known[str(answer)]
    if field in VARIES:
        return HOW[VARIES[field][0]](answer)
    return answer


def differences(theirs, ours, path=""):
    """Lines that tell where two of what `common` returns differ."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        keys = list(theirs) + [k for k in ours if k not in theirs]
        return [d for k in keys
                for d in differences(theirs.get(k, "(not there)"), ours.get(k, "(not there)"), path + "." + k)]
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return [d for i, (a, b) in enumerate(zip(theirs, ours)) for d in differences(a, b, "%s[%d]" % (path, i))]
    if theirs == ours:
        return []
    return ["%s: Kafka %s, Leat %s" % (path.lstrip(".") or "answer", json.dumps(theirs)[:400], json.dumps(ours)[:400])]
