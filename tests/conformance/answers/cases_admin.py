"""Metadata, topics, configurations, descriptions: bad names, numbers, resources."""
from leat import wait_for

from answers.cases import BAD_NAMES, ask, case
from answers.side import NO_ID

STRANGE_ID = "QUJDREVGR0hJSktMTU5PUA"


@case("Metadata", "topics that are not there, bad names")
def _(s, v):
    for note, name in dict(BAD_NAMES, unknown="nowhere").items():
        s.ask("Metadata", v, {"topics": [{"name": name}], "allowAutoTopicCreation": False}, note)
    s.ask("Metadata", v, {"topics": [{"name": "t"}, {"name": "t"}], "allowAutoTopicCreation": False}, "twice")
    s.ask("Metadata", v, {"topics": [{"name": "nowhere"}, {"name": "nowhere"}], "allowAutoTopicCreation": False}, "unknown twice")
    if v > 0:
        s.ask("Metadata", v, {"topics": []}, "none")
    s.ask("Metadata", v, {"topics": [{"name": "t"}], "includeTopicAuthorizedOperations": True,
                          "includeClusterAuthorizedOperations": True}, "operations")


@case("Metadata", "ids", [10, 11, 12, 13])
def _(s, v):
    for note, topic in {"unknown id": {"topicId": STRANGE_ID, "name": None}, "known id": {"topicId": s.id("t"), "name": None},
                        "no id, no name": {"topicId": NO_ID, "name": None}, "id and name": {"topicId": s.id("t"), "name": "t"},
                        "unknown id and a name": {"topicId": STRANGE_ID, "name": "t"}}.items():
        s.ask("Metadata", v, {"topics": [topic], "allowAutoTopicCreation": False}, note)
    s.ask("Metadata", v, {"topics": [{"topicId": s.id("t"), "name": None}, {"topicId": STRANGE_ID, "name": None},
                                     {"topicId": s.id("t"), "name": None}], "allowAutoTopicCreation": False}, "twice")
    s.ask("Metadata", v, {"topics": [{"topicId": s.id("t"), "name": None}, {"topicId": NO_ID, "name": "compacted"}],
                          "allowAutoTopicCreation": False}, "one by id, one by name")


@case("Metadata", "names with a NUL", [4, 13])
def _(s, v):
    for name in ("\0", "t\0", "t\0x", "\0t"):
        s.ask("Metadata", v, {"topics": [{"name": name}], "allowAutoTopicCreation": True}, repr(name))
        create(s, 7, {"name": name}, note=repr(name))
        s.ask("DescribeTopicPartitions", 0, {"topics": [{"name": name}]}, repr(name))
        s.ask("DeleteRecords", 2, {"topics": [{"name": name, "partitions": [{"partitionIndex": 0, "offset": 0}]}]}, repr(name))
        s.ask("ListOffsets", 7, {"topics": [{"name": name, "partitions": [{"partitionIndex": 0, "timestamp": -1}]}]}, repr(name))
        s.ask("DescribeConfigs", 4, {"resources": [{"resourceType": 2, "resourceName": name, "configurationKeys": ["retention.ms"]}]},
              repr(name))
    for key, value in (("retention.ms", "1\0"), ("retention.ms\0", "1000"), ("retention.ms", "\0")):
        create(s, 7, {"name": "nul" + s.unique, "configs": [{"name": key, "value": value}]}, note="%r=%r" % (key, value),
               validateOnly=True)


@case("CreateTopics", "names")
def _(s, v):
    for note, name in dict(BAD_NAMES, **{"there already": "t", "an internal one": "__consumer_offsets", "metadata": "__cluster_metadata",
                                         "like another but for a dot": "a_b"}).items():
        create(s, v, {"name": name}, note=note)
    create(s, v, {"name": "twice" + s.unique}, {"name": "twice" + s.unique}, {"name": "once" + s.unique}, note="twice")
    create(s, v, note="none")


def create(s, v, *topics, note="", **more):
    topics = [dict({"numPartitions": 1, "replicationFactor": 1}, **t) for t in topics]
    s.ask("CreateTopics", v, dict({"topics": topics, "timeoutMs": 30000}, **more), note)


@case("CreateTopics", "numbers and assignments")
def _(s, v):
    name = "new" + s.unique
    for n in (0, -1, -2, -2147483648):
        create(s, v, {"name": "%s.p%d" % (name, n), "numPartitions": n}, note="%d partitions" % n, validateOnly=True)
    for n in (0, -1, -2, 2, 32767):
        create(s, v, {"name": "%s.r%d" % (name, n), "replicationFactor": n}, note="%d replicas" % n, validateOnly=True)

    def assigned(note, *assignments, **more):
        create(s, v, dict({"name": name + note[:2], "numPartitions": -1, "replicationFactor": -1, "assignments": [
            {"partitionIndex": p, "brokerIds": b} for p, b in assignments]}, **more), note=note, validateOnly=True)
    assigned("1 unknown broker", (0, [77]))
    assigned("2 no broker", (0, []))
    assigned("3 a broker twice", (0, [1, 1]))
    assigned("4 from 1 on", (1, [1]))
    assigned("5 a gap", (0, [1]), (2, [1]))
    assigned("6 twice", (0, [1]), (0, [1]))
    assigned("7 below 0", (-1, [1]))
    assigned("8 with a number", (0, [1]), numPartitions=1)
    assigned("9 with replicas", (0, [1]), replicationFactor=1)
    assigned("A good", (0, [1]), (1, [1]))
    create(s, v, {"name": name + "late"}, note="timeout 0", timeoutMs=0)
    create(s, v, {"name": name + "later"}, note="timeout -1", timeoutMs=-1)
    create(s, v, {"name": name + "only"}, note="validated", validateOnly=True)
    s.ask("Metadata", 4, {"topics": [{"name": name + "only"}], "allowAutoTopicCreation": False}, "nothing was made")


@case("CreateTopics", "configurations")
def _(s, v):
    for i, (key, value) in enumerate((("nonsense", "1"), ("retention.ms", "x"), ("retention.ms", "-2"), ("retention.ms", ""),
                                      ("cleanup.policy", "nonsense"), ("cleanup.policy", ""), ("compression.type", "brotli"), ("", "x"),
                                      ("retention.ms", None), ("segment.bytes", "1"), ("max.message.bytes", "-1"),
                                      ("min.insync.replicas", "0"), ("compression.gzip.level", "99"), ("message.timestamp.type", "x"),
                                      ("unclean.leader.election.enable", "maybe"), ("min.cleanable.dirty.ratio", "2"),
                                      ("max.message.bytes", "99999999999"), ("retention.ms", "1e3"), ("retention.ms", " 1000 "),
                                      ("unclean.leader.election.enable", "TRUE"), ("cleanup.policy", "compact,delete"),
                                      ("delete.retention.ms", "5"), ("message.format.version", "2.8"))):
        create(s, v, {"name": "set%d%s" % (i, s.unique), "configs": [{"name": key, "value": value}]}, note="%s=%s" % (key, value),
               validateOnly=True)
    create(s, v, {"name": "both" + s.unique, "configs": [{"name": "retention.ms", "value": "1"}, {"name": "retention.ms", "value": "2"}]},
           note="twice", validateOnly=True)


@case("DeleteTopics", "names and ids")
def _(s, v):
    def delete(*topics, note="", ms=30000):
        s.ask("DeleteTopics", v, {"topicNames": [t["name"] for t in topics if t.get("name") is not None],
                                  "topics": list(topics), "timeoutMs": ms}, note)
    name = s.topic("gone" + s.unique)
    for note, bad in dict(BAD_NAMES, unknown="nowhere").items():
        delete({"name": bad}, note=note)
    delete(note="none")
    delete({"name": "nowhere"}, {"name": "nowhere"}, note="unknown twice")
    delete({"name": name}, {"name": name}, note="twice")
    if v >= 6:
        delete({"name": None, "topicId": STRANGE_ID}, note="unknown id")
        delete({"name": None, "topicId": NO_ID}, note="neither name nor id")
        delete({"name": name, "topicId": s.id(name)}, note="name and id")
        delete({"name": None, "topicId": s.id(name)}, {"name": None, "topicId": s.id(name)}, note="an id twice")
        delete({"name": None, "topicId": s.id(name)}, {"name": name}, note="by id and by name")
    delete({"name": s.topic("hurry" + s.unique)}, note="timeout 0", ms=0)
    s.ask("Metadata", 4, {"topics": [{"name": name}], "allowAutoTopicCreation": False}, "what is left")


@case("CreatePartitions", "numbers, names, assignments")
def _(s, v):
    name = s.topic("grow" + s.unique, 2)

    def grow(*topics, note="", **more):
        s.ask("CreatePartitions", v, dict({"topics": [dict({"name": name, "count": 3, "assignments": None}, **t) for t in topics],
                                           "timeoutMs": 30000, "validateOnly": True}, **more), note)
    for n in (2, 1, 0, -1, 3):
        grow({"count": n}, note="%d partitions" % n)
    for bad in list(BAD_NAMES.values()) + ["nowhere"]:
        grow({"name": bad}, note="topic " + bad[:7])
    grow(note="none")
    grow({}, {}, note="twice")
    grow({"assignments": []}, note="empty assignment")
    grow({"assignments": [{"brokerIds": [1]}]}, note="good assignment")
    grow({"assignments": [{"brokerIds": [1]}, {"brokerIds": [1]}]}, note="two assignments for one")
    grow({"assignments": [{"brokerIds": [77]}]}, note="unknown broker")
    grow({"assignments": [{"brokerIds": []}]}, note="no broker")
    grow({"assignments": [{"brokerIds": [1, 1]}]}, note="a broker twice")
    grow({}, note="timeout 0", timeoutMs=0)
    grow({}, note="timeout -1", timeoutMs=-1)
    s.ask("Metadata", 4, {"topics": [{"name": name}], "allowAutoTopicCreation": False}, "nothing has changed")


ask("DescribeCluster", "a broker", {"includeClusterAuthorizedOperations": False})
ask("DescribeCluster", "operations", {"includeClusterAuthorizedOperations": True})
for _type in (0, 2, 3, -1):
    ask("DescribeCluster", "endpoint type %d" % _type, {"endpointType": _type}, [1, 2])

# ---- configurations ----

RESOURCES = {"unknown topic": (2, "nowhere"), "empty topic": (2, ""), "bad topic": (2, "a/b"), "other broker": (4, "77"),
             "broker that is no number": (4, "x"), "unknown type": (3, "x"), "type 0": (0, ""), "type -1": (-1, "x"),
             "logger of another broker": (8, "77"), "empty group": (32, ""), "empty metrics": (16, ""), "type 1": (1, "")}


@case("DescribeConfigs", "resources")
def _(s, v):
    for note, (type_, name) in RESOURCES.items():
        s.ask("DescribeConfigs", v, {"resources": [{"resourceType": type_, "resourceName": name, "configurationKeys": ["retention.ms"]}]},
              note)
    s.ask("DescribeConfigs", v, {"resources": [{"resourceType": 32, "resourceName": "no group" + s.unique, "configurationKeys": None}],
                                 "includeSynonyms": True}, "a group that is not there")
    for note, keys in {"unknown keys": ["nonsense", ""], "no keys": [], "twice": ["retention.ms", "retention.ms"]}.items():
        s.ask("DescribeConfigs", v, {"resources": [{"resourceType": 2, "resourceName": "compacted", "configurationKeys": keys}]}, note)
    s.ask("DescribeConfigs", v, {"resources": []}, "nothing")
    one = {"resourceType": 2, "resourceName": "compacted", "configurationKeys": ["cleanup.policy"]}
    s.ask("DescribeConfigs", v, {"resources": [one, one]}, "a resource twice")
    s.ask("DescribeConfigs", v, {"resources": [one], "includeSynonyms": True}, "synonyms")


@case("AlterConfigs", "resources and values")
def _(s, v):
    name = s.topic("alter" + s.unique)

    def alter(type_, resource, note, *configs):
        s.ask("AlterConfigs", v, {"validateOnly": True, "resources": [
            {"resourceType": type_, "resourceName": resource, "configs": [{"name": n, "value": x} for n, x in configs]}]}, note)
    for note, (type_, resource) in RESOURCES.items():
        if type_ not in (16, 32):
            alter(type_, resource, note, ("retention.ms", "1000"))
    for key, value in (("nonsense", "1"), ("retention.ms", "x"), ("retention.ms", None), ("", ""), ("cleanup.policy", "nonsense")):
        alter(2, name, "%s=%s" % (key, value), (key, value))
    alter(2, name, "a key twice", ("retention.ms", "1000"), ("retention.ms", "2000"))
    alter(2, name, "nothing")  # (a resource named twice is answered by Kafka with nothing at all)
    s.ask("AlterConfigs", v, {"validateOnly": True, "resources": []}, "none")


@case("IncrementalAlterConfigs", "resources and values")
def _(s, v):
    name = s.topic("increment" + s.unique)

    def alter(type_, resource, note, *configs, validate=True):
        s.ask("IncrementalAlterConfigs", v, {"validateOnly": validate, "resources": [
            {"resourceType": type_, "resourceName": resource,
             "configs": [{"name": n, "configOperation": o, "value": x} for n, o, x in configs]}]}, note)
    for note, (type_, resource) in RESOURCES.items():
        if type_ not in (16, 32):
            alter(type_, resource, note, ("retention.ms", 0, "1000"))
    for key, op, value in (("nonsense", 0, "1"), ("nonsense", 1, None), ("retention.ms", 0, "x"), ("retention.ms", 0, None),
                           ("retention.ms", 1, None), ("retention.ms", 1, "5"), ("retention.ms", 2, "5"), ("retention.ms", 3, "5"),
                           ("retention.ms", 4, "5"), ("retention.ms", -1, "5"), ("cleanup.policy", 2, "compact"),
                           ("cleanup.policy", 3, "delete"), ("cleanup.policy", 3, "nonsense"), ("cleanup.policy", 2, "nonsense"),
                           ("cleanup.policy", 2, None), ("cleanup.policy", 0, ""), ("", 0, "")):
        alter(2, name, "%s op %d %s" % (key, op, value), (key, op, value))
    alter(2, name, "a key twice", ("retention.ms", 0, "1000"), ("retention.ms", 0, "2000"))
    alter(2, name, "nothing")
    alter(4, "", "read-only broker key", ("process.roles", 0, "broker"))
    one = {"resourceType": 2, "resourceName": name, "configs": [{"name": "retention.ms", "configOperation": 0, "value": "1000"}]}
    s.ask("IncrementalAlterConfigs", v, {"validateOnly": True, "resources": [one, one]}, "a resource twice")
    s.ask("IncrementalAlterConfigs", v, {"validateOnly": True, "resources": []}, "none")


SESSION, HEARTBEAT = "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"


@case("AlterConfigs", "groups")
def _(s, v):
    def alter(group, note, *configs, validate=True):
        s.ask("AlterConfigs", v, {"validateOnly": validate, "resources": [
            {"resourceType": 32, "resourceName": group, "configs": [{"name": n, "value": x} for n, x in configs]}]}, note)
    group = "alter" + s.unique
    alter("", "empty group", (SESSION, "50000"))
    alter(group, "nothing")
    for key, value in ((SESSION, "x"), (SESSION, None), (SESSION, "44999"), (HEARTBEAT, "15001"), ("nonsense", "1"), ("", "")):
        alter(group, "%s=%s" % (key, value), (key, value))
    alter(group, "a key twice", (SESSION, "50000"), (SESSION, "50001"))
    alter(group, "two", (SESSION, "50000"), (HEARTBEAT, "6000"), validate=False)
    alter(group, "one, and the other goes", (SESSION, "50001"), validate=False)
    wait_for("the group's settings", lambda: told(s, group, SESSION)["value"] == "50001")
    s.ask("DescribeConfigs", 4, {"resources": [{"resourceType": 32, "resourceName": group, "configurationKeys": [SESSION, HEARTBEAT]}],
                                 "includeSynonyms": True}, "after that")
    alter(group, "all go", validate=False)


def told(s, group, name):
    return s.quietly("DescribeConfigs", 4, {"resources": [{"resourceType": 32, "resourceName": group, "configurationKeys": [name]}]})[
        "results"][0]["configs"][0]


@case("IncrementalAlterConfigs", "groups")
def _(s, v):
    def alter(group, note, *configs, validate=True):
        s.ask("IncrementalAlterConfigs", v, {"validateOnly": validate, "resources": [
            {"resourceType": 32, "resourceName": group, "configs": [
                {"name": n, "configOperation": o, "value": x} for n, o, x in configs]}]}, note)
    group = "increment" + s.unique
    alter("", "empty group", (SESSION, 0, "50000"))
    alter("", "empty group, nothing")
    alter(group, "nothing")
    for key, op, value in ((SESSION, 0, "45000"), (SESSION, 0, "44999"), (SESSION, 0, "60000"), (SESSION, 0, "60001"), (SESSION, 0, "x"), (SESSION, 0, ""),
                           (SESSION, 0, None), (SESSION, 0, "-1"), (SESSION, 0, "+50000"), (SESSION, 0, "50000000000"), (SESSION, 1, None), (SESSION, 2, "1"),
                           (SESSION, 3, "1"), (SESSION, 4, "50000"), (SESSION, -1, "50000"), (HEARTBEAT, 0, "5000"), (HEARTBEAT, 0, "4999"),
                           (HEARTBEAT, 0, "15000"), (HEARTBEAT, 0, "15001"), ("nonsense", 0, "1"), ("nonsense", 1, None), ("nonsense", 2, "1"),
                           ("", 0, ""), ("retention.ms", 0, "1"), ("share.auto.offset.reset", 0, "latest"), ("share.auto.offset.reset", 0, "nonsense"),
                           ("streams.num.standby.replicas", 0, "0"), ("consumer.assignment.interval.ms", 0, "1000")):
        alter(group, "%s op %d %s" % (key, op, value), (key, op, value))
    alter(group, "a key twice", (SESSION, 0, "50000"), (SESSION, 1, None))
    alter(group, "two", (SESSION, 0, "50000"), (HEARTBEAT, 0, "6000"), validate=False)
    wait_for("the group's settings", lambda: told(s, group, SESSION)["value"] == "50000")
    s.ask("DescribeConfigs", 4, {"resources": [{"resourceType": 32, "resourceName": group, "configurationKeys": [SESSION, HEARTBEAT]}],
                                 "includeSynonyms": True}, "after that")
    wait_for("the group to be listed", lambda: s.quietly("ListConfigResources", 1, {"resourceTypes": [32]})["configResources"])
    s.ask("ListConfigResources", 1, {"resourceTypes": [32]}, "groups with settings")
    alter(group, "both go", (SESSION, 1, None), (HEARTBEAT, 1, None), validate=False)
    wait_for("the group not to be listed", lambda: not s.quietly("ListConfigResources", 1, {"resourceTypes": [32]})["configResources"])


# ---- descriptions and what a single node without authorizer cannot do ----

@case("DescribeTopicPartitions", "topics, limits, cursors")
def _(s, v):
    def tell(*topics, note="", **more):
        s.ask("DescribeTopicPartitions", v, dict({"topics": [{"name": t} for t in topics]}, **more), note)
    for note, name in dict(BAD_NAMES, unknown="nowhere").items():
        tell(name, note=note)
    tell("t", "t", note="twice")
    tell("t", note="limit 1", responsePartitionLimit=1)
    tell("t", note="limit 0", responsePartitionLimit=0)
    tell("t", note="limit -1", responsePartitionLimit=-1)
    tell("t", "compacted", note="cursor", cursor={"topicName": "t", "partitionIndex": 1})
    tell("t", note="cursor past its end", cursor={"topicName": "t", "partitionIndex": 9})
    tell("t", note="cursor below 0", cursor={"topicName": "t", "partitionIndex": -1})
    tell("t", note="cursor of an unknown topic", cursor={"topicName": "nowhere", "partitionIndex": 0})


@case("DescribeLogDirs", "topics and partitions")
def _(s, v):
    for note, topics in {"unknown topic": [{"topic": "nowhere", "partitions": [0]}], "unknown partition": [{"topic": "t", "partitions": [7, -1]}],
                         "no partitions": [{"topic": "t", "partitions": []}], "no topics": []}.items():
        s.ask("DescribeLogDirs", v, {"topics": topics}, note)


ask("AlterReplicaLogDirs", "an unknown directory", {"dirs": [{"path": "/nowhere", "topics": [{"name": "t", "partitions": [0]}]}]})
ask("AlterReplicaLogDirs", "nothing", {"dirs": []})
ask("DescribeAcls", "any", {"resourceTypeFilter": 1, "resourceNameFilter": None, "patternTypeFilter": 1, "principalFilter": None,
                            "hostFilter": None, "operation": 1, "permissionType": 1})
ask("CreateAcls", "one", {"creations": [{"resourceType": 2, "resourceName": "t", "principal": "User:x", "host": "*", "operation": 3,
                                         "permissionType": 3}]})
ask("CreateAcls", "none", {"creations": []})
for _field in ("resourceType", "resourcePatternType", "operation", "permissionType"):
    ask("CreateAcls", "unknown " + _field, {"creations": [dict(
        {"resourceType": 2, "resourceName": "t", "principal": "User:x", "host": "*", "operation": 3, "permissionType": 3}, **{_field: 0})]})
for _field in ("resourceTypeFilter", "patternTypeFilter", "operation", "permissionType"):
    _filter = dict({"resourceTypeFilter": 1, "resourceNameFilter": None, "patternTypeFilter": 1, "principalFilter": None,
                    "hostFilter": None, "operation": 1, "permissionType": 1}, **{_field: 0})
    ask("DescribeAcls", "unknown " + _field, _filter)
    ask("DeleteAcls", "unknown " + _field, {"filters": [_filter]})
ask("DeleteAcls", "any", {"filters": [{"resourceTypeFilter": 1, "resourceNameFilter": None, "patternTypeFilter": 1,
                                       "principalFilter": None, "hostFilter": None, "operation": 1, "permissionType": 1}]})
ask("DeleteAcls", "none", {"filters": []})
ask("ElectLeaders", "not needed", {"topicPartitions": [{"topic": "t", "partitions": [0]}]})
ask("ElectLeaders", "unknown topic", {"topicPartitions": [{"topic": "nowhere", "partitions": [0]}]})
ask("ElectLeaders", "unknown partition", {"topicPartitions": [{"topic": "t", "partitions": [7, -1]}]})
ask("ElectLeaders", "unknown type", {"electionType": 5, "topicPartitions": [{"topic": "t", "partitions": [0]}]}, [1, 2])
ask("ElectLeaders", "unclean", {"electionType": 1, "topicPartitions": [{"topic": "t", "partitions": [0]}]}, [1, 2])


@case("AlterPartitionReassignments", "brokers, partitions")
def _(s, v):
    for note, topic, partition, replicas in (("cancel of none", "t", 0, None), ("unknown broker", "t", 0, [77]), ("unknown topic", "nowhere", 0, [1]),
                                             ("unknown partition", "t", 7, [1]), ("no replica", "t", 0, []), ("a broker twice", "t", 0, [1, 1]),
                                             ("as it is", "t", 0, [1]), ("cancel of an unknown topic", "nowhere", 0, None),
                                             ("below 0", "t", -1, [1]), ("broker below 0", "t", 0, [-1])):
        s.ask("AlterPartitionReassignments", v, {"topics": [{"name": topic, "partitions": [
            {"partitionIndex": partition, "replicas": replicas}]}]}, note)


ask("ListPartitionReassignments", "all", {"topics": None})
ask("ListPartitionReassignments", "an unknown topic", {"topics": [{"name": "nowhere", "partitionIndexes": [0]}]})
ask("ListPartitionReassignments", "none", {"topics": []})
ask("ListConfigResources", "types", {"resourceTypes": [2]}, [1])
ask("ListConfigResources", "an unknown type", {"resourceTypes": [99]}, [1])
ask("ListConfigResources", "type 0", {"resourceTypes": [0]}, [1])
ask("DescribeQuorum", "another topic", {"topics": [{"topicName": "t", "partitions": [{"partitionIndex": 0}]}]})
ask("DescribeQuorum", "nothing", {"topics": []})
ask("DescribeUserScramCredentials", "all", {"users": None})
ask("DescribeUserScramCredentials", "unknown user", {"users": [{"name": "nobody"}]})
ask("DescribeClientQuotas", "all", {"components": [], "strict": False})
ask("DescribeClientQuotas", "unknown entity", {"components": [{"entityType": "nonsense", "matchType": 0, "match": "x"}], "strict": False})


@case("UpdateFeatures", "names and levels")
def _(s, v):
    for note, updates in {"none": [], "unknown": [{"feature": "nonsense", "maxVersionLevel": 1}], "empty": [{"feature": "", "maxVersionLevel": 1}],
                          "too high": [{"feature": "transaction.version", "maxVersionLevel": 99}],
                          "below 0": [{"feature": "transaction.version", "maxVersionLevel": -1}]}.items():
        s.ask("UpdateFeatures", v, {"featureUpdates": updates, "validateOnly": True}, note)
