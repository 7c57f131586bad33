"""Groups and committed offsets: bad ids, members, generations, sessions, protocols."""
from answers.cases import BAD_NAMES, ask, case
from answers.side import SESSION_MS


def join(s, v, group, note="", **more):
    body = {"groupId": group, "sessionTimeoutMs": SESSION_MS, "rebalanceTimeoutMs": 60000, "memberId": "", "protocolType": "consumer",
            "protocols": [{"name": "range", "metadata": "0102"}]}
    body.update(more)
    return s.ask("JoinGroup", v, body, note)


@case("JoinGroup", "bad groups, sessions, protocols")
def _(s, v):
    group = "join" + s.unique
    join(s, v, "", note="empty group")
    for ms in (5999, 1800001, 0, -1, -2147483648):
        join(s, v, group, sessionTimeoutMs=ms, note="session %d" % ms)
    join(s, v, group, protocols=[], note="no protocols")
    join(s, v, group, protocolType="", note="empty type")
    join(s, v, group, protocolType="", protocols=[], note="no type, no protocols")
    join(s, v, group, memberId="somebody", note="unknown member")
    join(s, v, "", sessionTimeoutMs=1, protocols=[], memberId="x", note="all of it")
    s.ask("DescribeGroups", 5, {"groups": [group]}, "nothing was made")


@case("JoinGroup", "a new member")
def _(s, v):
    group = "new" + s.unique
    answer = join(s, v, group, note="first")
    member = s.call_it(answer["memberId"], "the member")
    if answer["errorCode"] == 79:
        answer = join(s, v, group, memberId=member, note="with its id")
    for more, note in (({}, "again"), ({"memberId": "somebody"}, "unknown member"), ({"protocolType": "connect"}, "other type"),
                       ({"protocols": [{"name": "other", "metadata": ""}]}, "no common protocol")):
        if more:
            join(s, v, group, note=note, **more)
    s.ask("DescribeGroups", 5, {"groups": [group]})
    s.ask("SyncGroup", min(v, 5), {"groupId": group, "generationId": 1, "memberId": member,
                                   "protocolType": "consumer", "protocolName": "range",
                                   "assignments": [{"memberId": member, "assignment": "07"}]})
    s.ask("DescribeGroups", 5, {"groups": [group]}, "stable")
    join(s, v, group, memberId=member, note="again")
    s.ask("DescribeGroups", 5, {"groups": [group]})


# (A protocol named twice is answered by Kafka with nothing at all.)
@case("JoinGroup", "protocol without a name, rebalance timeouts")
def _(s, v):
    for i, more in enumerate(({"protocols": [{"name": "", "metadata": ""}]}, {"rebalanceTimeoutMs": 0}, {"rebalanceTimeoutMs": -1})):
        group = "odd%d%s" % (i, s.unique)
        answer = join(s, v, group, note=str(i), **more)
        if answer != "closed the connection" and answer["errorCode"] == 79:
            answer = join(s, v, group, memberId=s.call_it(answer["memberId"], "the member"), note=str(i), **more)


@case("JoinGroup", "static members", [5, 7, 9])
def _(s, v):
    group = "static" + s.unique
    for bad in list(BAD_NAMES.values()) + ["in stance"]:
        join(s, v, "bad%d%s" % (len(s.said), group), groupInstanceId=bad, note="instance " + bad[:5])
    first = s.call_it(join(s, v, group, groupInstanceId="one", note="first")["memberId"], "the first")
    names = {"protocolType": "consumer", "protocolName": "range"}
    s.ask("SyncGroup", 5, dict(names, groupId=group, generationId=1, memberId=first, groupInstanceId="one",
                               assignments=[{"memberId": first, "assignment": "07"}]))
    join(s, v, group, groupInstanceId="one", memberId="somebody", note="of another id")
    second = join(s, v, group, groupInstanceId="one", note="comes back")["memberId"]
    s.call_it(second, "the second")
    for member in (first, second, "", "somebody"):
        for instance in ("one", "two", None):
            what = dict(groupId=group, generationId=1, memberId=member, groupInstanceId=instance)
            note = "%s of %s" % (s.known.get(member, member), instance)
            s.ask("Heartbeat", 4, what, note)
            s.ask("SyncGroup", 5, what, note + " without names")
            s.ask("SyncGroup", 5, dict(what, **names), note)
            s.ask("OffsetCommit", 8, {"groupId": group, "generationIdOrMemberEpoch": 1, "memberId": member,
                                      "groupInstanceId": instance, "topics": []}, note)
    s.ask("LeaveGroup", 5, {"groupId": group, "members": [{"memberId": "", "groupInstanceId": "two"},
                                                          {"memberId": first, "groupInstanceId": "one"},
                                                          {"memberId": "", "groupInstanceId": "one"}]}, "many")
    s.ask("DescribeGroups", 5, {"groups": [group]})


@case("Heartbeat", "bad groups, members, generations")
def _(s, v):
    def beat(group, generation, member, note):
        s.ask("Heartbeat", v, {"groupId": group, "generationId": generation, "memberId": member}, note)
    group = "beat" + s.unique
    beat("", 0, "m", "empty group")
    beat("no" + group, 0, "m", "no such group")
    beat("no" + group, 0, "", "no such group, no member")
    member, generation = s.stable(group)
    for g in (generation, generation + 1, generation - 1, -1):
        beat(group, g, member, "generation %d" % g)
    beat(group, generation, "somebody", "unknown member")
    beat(group, generation, "", "empty member")
    s.quietly("LeaveGroup", 2, {"groupId": group, "memberId": member})
    beat(group, generation, member, "after it left")


@case("SyncGroup", "bad groups, members, generations, protocols")
def _(s, v):
    def sync(group, generation, member, note, **more):
        s.ask("SyncGroup", v, dict({"groupId": group, "generationId": generation, "memberId": member,
                                    "protocolType": "consumer", "protocolName": "range"}, **more), note)
    group = "sync" + s.unique
    sync("", 0, "m", "empty group")
    sync("no" + group, 0, "m", "no such group")
    member, generation = s.join(group)
    for g in (generation + 1, generation - 1, -1):
        sync(group, g, member, "generation %d" % g)
    sync(group, generation, "somebody", "unknown member")
    sync(group, generation, "", "empty member")
    sync(group, generation, member, "other type", protocolType="connect")
    sync(group, generation, member, "other protocol", protocolName="other")
    sync(group, generation, member, "null type and protocol", protocolType=None, protocolName=None)
    sync(group, generation, member, "leader's, with somebody in it",
         assignments=[{"memberId": member, "assignment": "01"}, {"memberId": "somebody", "assignment": "02"}])
    sync(group, generation, member, "again")
    sync(group, generation, member, "again with others", assignments=[{"memberId": member, "assignment": "03"}])


@case("SyncGroup", "during a rebalance", [0, 3, 5])
def _(s, v):
    group = "turn" + s.unique
    member, generation = s.stable(group)
    body = {"groupId": group, "sessionTimeoutMs": SESSION_MS, "rebalanceTimeoutMs": 60000, "memberId": "", "protocolType": "consumer",
            "protocols": [{"name": "range", "metadata": ""}]}
    other = s.hold("JoinGroup", 3, body)
    while s.quietly("Heartbeat", 3, {"groupId": group, "generationId": generation, "memberId": member})["errorCode"] != 27:
        pass
    s.ask("SyncGroup", v, {"groupId": group, "generationId": generation, "memberId": member}, "preparing")
    s.ask("OffsetCommit", 7, {"groupId": group, "generationIdOrMemberEpoch": generation, "memberId": member, "topics": [
        {"name": "t", "partitions": [{"partitionIndex": 0, "committedOffset": 5}]}]}, "preparing")
    s.ask("DescribeGroups", 5, {"groups": [group]}, "preparing")
    s.ask("JoinGroup", 3, dict(body, memberId=member), "again")
    s.call_it(s.held(other)["memberId"], "the other")
    for g in (generation, generation + 1):
        s.ask("Heartbeat", 3, {"groupId": group, "generationId": g, "memberId": member}, "completing, generation %d" % g)
        s.ask("OffsetCommit", 7, {"groupId": group, "generationIdOrMemberEpoch": g, "memberId": member, "topics": [
            {"name": "t", "partitions": [{"partitionIndex": 0, "committedOffset": 6}]}]}, "completing, generation %d" % g)
    s.ask("LeaveGroup", 1, {"groupId": group, "memberId": "somebody"}, "unknown")


@case("LeaveGroup", "bad groups, members")
def _(s, v):
    def leave(group, *members, note=""):
        s.ask("LeaveGroup", v, {"groupId": group, "memberId": members[0] if members else "",
                                "members": [{"memberId": m} for m in members]}, note)
    group = "leave" + s.unique
    leave("", "m", note="empty group")
    leave("no" + group, "m", note="no such group")
    leave("no" + group, note="no such group, nobody")
    member, _ = s.stable(group)
    leave(group, "somebody", note="unknown member")
    leave(group, "", note="empty member")
    leave(group, note="nobody")
    leave(group, "somebody", member, member, note="twice")
    s.ask("DescribeGroups", 5, {"groups": [group]})


@case("DescribeGroups", "unknown and empty groups")
def _(s, v):
    group = "tell" + s.unique
    for groups in ([], [""], ["no" + group], ["no" + group, "no" + group]):
        s.ask("DescribeGroups", v, {"groups": groups}, str(len(groups)))
    s.ask("DescribeGroups", v, {"groups": ["no" + group], "includeAuthorizedOperations": True}, "operations")
    s.join(group)
    s.ask("DescribeGroups", v, {"groups": [group]}, "completing")
    s.stable("b" + group, protocols=("range", "roundrobin"))
    s.ask("DescribeGroups", v, {"groups": ["b" + group]}, "stable")
    s.ask("DescribeGroups", v, {"groups": ["b" + group], "includeAuthorizedOperations": True}, "operations")


@case("ListGroups", "filters", [4, 5])
def _(s, v):
    for states, types in ((["Nonsense"], []), (["Nonsense", "Dead"], ["consumer"]), ([""], [])) + ((([], ["nonsense"]),) if v >= 5 else ()):
        s.ask("ListGroups", v, {"statesFilter": states, "typesFilter": types}, "%s %s" % (states, types))


@case("DeleteGroups", "unknown, empty and busy groups")
def _(s, v):
    group = "kill" + s.unique
    member, _ = s.stable(group)
    for groups in ([], [""], ["no" + group], ["no" + group, "no" + group], [group], [group, group]):
        s.ask("DeleteGroups", v, {"groupsNames": groups}, "%d" % len(groups))
    s.quietly("LeaveGroup", 2, {"groupId": group, "memberId": member})
    s.ask("DeleteGroups", v, {"groupsNames": [group, group]}, "twice")
    s.ask("DescribeGroups", 5, {"groups": [group]})


# ---- offsets ----

def commit(s, v, group, *offsets, note="", generation=-1, member="", topic="t", **more):
    body = {"groupId": group, "generationIdOrMemberEpoch": generation, "memberId": member, "topics": [
        {"name": topic, "topicId": s.id(topic), "partitions": [{"partitionIndex": p, "committedOffset": o} for p, o in offsets]}]}
    body.update(more)
    return s.ask("OffsetCommit", v, body, note)


def offsets(s, v, group, *partitions, note="", topic="t", **more):
    name = dict({"name": topic, "partitionIndexes": list(partitions)}, **({"topicId": s.id(topic)} if v >= 10 else {}))
    topics = None if partitions == (None,) else [name]
    body = {"groupId": group, "topics": topics} if v < 8 else {"groups": [{"groupId": group, "topics": topics}]}
    s.ask("OffsetFetch", v, dict(body, **more), note)


@case("OffsetCommit", "topics, partitions, offsets")
def _(s, v):
    group = "commit" + s.unique
    commit(s, v, group, (0, 1), topic="nowhere", note="unknown topic")
    commit(s, v, group, (2, 1), (-1, 1), (0, 1), note="unknown partitions")
    commit(s, v, group, (0, -1), (1, -5), note="negative offsets")
    commit(s, v, group, note="no partitions")
    commit(s, v, group, topics=[], note="no topics")
    commit(s, v, group, (0, 7), (0, 8), note="a partition twice")
    for bad in BAD_NAMES.values():
        commit(s, v, group, (0, 1), topic=bad, note="topic " + bad[:5])
    for size in (4096, 4097):
        commit(s, v, group, note="%d bytes of metadata" % size, topics=[{"name": "t", "topicId": s.id("t"), "partitions": [
            {"partitionIndex": 0, "committedOffset": 1, "committedMetadata": "m" * size}]}])
    commit(s, v, group, note="null metadata", topics=[{"name": "t", "topicId": s.id("t"), "partitions": [
        {"partitionIndex": 0, "committedOffset": 1, "committedMetadata": None}]}])
    offsets(s, min(v, 9), group, 0, 1, 5, note="what is there")


@case("OffsetCommit", "groups, members, generations")
def _(s, v):
    group = "who" + s.unique
    commit(s, v, "", (0, 1), note="empty group")
    commit(s, v, "no" + group, (0, 1), generation=1, member="m", note="no such group")
    commit(s, v, "no" + group, (0, 1), generation=0, note="no such group, generation 0")
    commit(s, v, "no" + group, (0, 1), generation=-2, note="generation -2")
    commit(s, v, "no" + group, (0, 1), member="m", note="no such group, member without generation")
    member, generation = s.stable(group)
    commit(s, v, group, (0, 1), note="nobody, while there are members")
    for g in (generation, generation + 1, generation - 1, -1):
        commit(s, v, group, (0, 1), generation=g, member=member, note="generation %d" % g)
    commit(s, v, group, (0, 1), generation=generation, member="somebody", note="unknown member")
    commit(s, v, group, (0, 1), generation=generation, note="empty member")
    s.quietly("LeaveGroup", 2, {"groupId": group, "memberId": member})
    commit(s, v, group, (0, 1), generation=generation, member=member, note="after it left")
    commit(s, v, group, (0, 9), note="nobody, and no members")


@case("OffsetCommit", "texts with a NUL", [2, 8])
def _(s, v):
    group = "nul" + s.unique
    for name in (group + "\0", group + "\0x", "\0" + group):
        commit(s, v, name, (0, 5), note=repr(name[:4]))
        offsets(s, 5, name, 0, note=repr(name[:4]))
        s.ask("DescribeGroups", 5, {"groups": [name]}, repr(name[:4]))
    offsets(s, 5, group, 0, note="the name before the NUL")
    commit(s, v, group, (0, 5), topic="t\0", note="topic")
    for text in ("\0", "said\0", "sa\0id"):
        commit(s, v, group, note="metadata %r" % text, topics=[{"name": "t", "topicId": s.id("t"), "partitions": [
            {"partitionIndex": 0, "committedOffset": 1, "committedMetadata": text}]}])
        offsets(s, 5, group, 0, note="metadata %r" % text)
    join(s, 9, group, protocols=[{"name": "range\0", "metadata": ""}], memberId="m\0", note="an unknown member")
    join(s, 3, group + "j", protocols=[{"name": "range\0", "metadata": ""}], protocolType="con\0sumer", groupInstanceId=None, note="protocol")
    s.ask("DescribeGroups", 5, {"groups": [group + "j"]}, "protocol")
    s.ask("DeleteGroups", 2, {"groupsNames": [group + "\0x", "no\0"]})


@case("OffsetCommit", "a group of offsets only")
def _(s, v):
    group = "only" + s.unique
    commit(s, v, group, (0, 5), note="somebody")
    commit(s, v, group, (0, 6), generation=3, member="m", note="a member that there is not")
    commit(s, v, group, (0, 6), generation=3, note="a generation without member")


@case("OffsetFetch", "groups, topics, partitions")
def _(s, v):
    group = "where" + s.unique
    offsets(s, v, "", 0, note="empty group")
    offsets(s, v, "no" + group, 0, note="no such group")
    commit(s, 8, group, (0, 5), note="before")
    offsets(s, v, group, 0, 1, 7, -1, note="partitions")
    offsets(s, v, group, 0, 0, note="a partition twice")
    offsets(s, v, group, 0, topic="nowhere", note="unknown topic")
    for bad in BAD_NAMES.values():
        offsets(s, v, group, 0, topic=bad, note="topic " + bad[:5])
    offsets(s, v, group, note="no partitions")
    if v >= 2:
        offsets(s, v, group, None, note="all")
        offsets(s, v, "no" + group, None, note="all of no such group")
    offsets(s, v, group, note="no topics or groups", **({"topics": []} if v < 8 else {"groups": []}))
    if v >= 8:
        one = {"groupId": group, "topics": None}
        s.ask("OffsetFetch", v, {"groups": [one, one, {"groupId": "", "topics": None}]}, "a group twice and an empty one")
    if v >= 9:
        for member, epoch in (("m", 1), ("m", -1), (None, 5), ("", 0)):
            s.ask("OffsetFetch", v, {"groups": [{"groupId": group, "memberId": member, "memberEpoch": epoch, "topics": None}]},
                  "member %s, epoch %d" % (member, epoch))


@case("OffsetDelete", "groups, topics, partitions")
def _(s, v):
    group = "drop" + s.unique

    def delete(name, *partitions, topic="t", note=""):
        s.ask("OffsetDelete", v, {"groupId": name, "topics": [
            {"name": topic, "partitions": [{"partitionIndex": p} for p in partitions]}]}, note)
    delete("", 0, note="empty group")
    delete("no" + group, 0, note="no such group")
    commit(s, 8, group, (0, 5), note="before")
    delete(group, 1, 7, -1, note="nothing there")
    delete(group, 0, topic="nowhere", note="unknown topic")
    delete(group, 0, 0, note="twice")
    commit(s, 8, group, (0, 5), note="before the next")  # else Kafka's group lives on without offsets for a while
    delete(group, note="no partitions")
    s.ask("OffsetDelete", v, {"groupId": group, "topics": []}, "no topics")
    offsets(s, 7, group, 0, note="what is left")
    busy = "busy" + group
    s.stable(busy)
    delete(busy, 0, note="members whose subscription is unreadable")


# ---- KIP-848 ----

def beat(s, v, group, note="", **more):
    body = {"groupId": group, "memberId": "member-1" if v > 0 else "", "memberEpoch": 0, "rebalanceTimeoutMs": 60000,
            "subscribedTopicNames": ["t"], "topicPartitions": []}
    body.update(more)
    return s.ask("ConsumerGroupHeartbeat", v, body, note)


@case("ConsumerGroupHeartbeat", "what may not be asked")
def _(s, v):
    group = "next" + s.unique
    beat(s, v, "", note="empty group")
    # Each with a group of its own: how soon a second member gets an assignment depends on when the first came.
    for i, (note, more) in enumerate({
            "empty member": {"memberId": ""}, "no rebalance timeout": {"rebalanceTimeoutMs": -1},
            "rebalance timeout 0": {"rebalanceTimeoutMs": 0}, "no topics": {"subscribedTopicNames": None},
            "empty topics": {"subscribedTopicNames": []}, "no partitions": {"topicPartitions": None},
            "owns something from the start": {"topicPartitions": [{"topicId": s.id("t"), "partitions": [0]}]},
            "unknown assignor": {"serverAssignor": "nonsense"}, "empty assignor": {"serverAssignor": ""},
            "empty instance": {"instanceId": ""}, "empty rack": {"rackId": ""}}.items()):
        beat(s, v, "%s.%d" % (group, i), note=note, **more)
    for epoch in (1, -1, -2, -3, 2147483647):
        beat(s, v, "no" + group, memberEpoch=epoch, memberId="m", note="no such group, epoch %d" % epoch)
    beat(s, v, "no" + group, memberEpoch=1, memberId="", note="no such group, no member, epoch 1")
    beat(s, v, "no" + group, memberEpoch=-2, instanceId="i", memberId="m", note="static leave of no such group")
    if v >= 1:
        beat(s, v, group, subscribedTopicRegex="[", note="bad expression")
        beat(s, v, group + ".e", subscribedTopicRegex="", subscribedTopicNames=None, note="empty expression")


@case("ConsumerGroupHeartbeat", "members and epochs")
def _(s, v):
    group = "epochs" + s.unique
    answer = beat(s, v, group, note="join")
    member = s.call_it(answer["memberId"], "the member") if answer != "closed the connection" else "m"
    light = dict(memberId=member, rebalanceTimeoutMs=-1, subscribedTopicNames=None, topicPartitions=None)
    for epoch in (answer["memberEpoch"], answer["memberEpoch"] + 5, -3):
        beat(s, v, group, note="epoch %d" % epoch, memberEpoch=epoch, **light)
    beat(s, v, group, note="unknown member", memberEpoch=1, **dict(light, memberId="somebody"))
    s.ask("ConsumerGroupDescribe", 0, {"groupIds": [group]})
    s.ask("JoinGroup", 4, {"groupId": group, "sessionTimeoutMs": 10000, "rebalanceTimeoutMs": 1000, "protocolType": "consumer",
                           "protocols": [{"name": "range", "metadata": ""}]}, "a classic member")
    commit(s, 9, group, (0, 1), generation=answer["memberEpoch"], member=member, note="its epoch")
    commit(s, 9, group, (0, 1), generation=answer["memberEpoch"] + 1, member=member, note="a later epoch")
    commit(s, 8, group, (0, 1), generation=answer["memberEpoch"] + 1, member=member, note="a later epoch, version 8")
    commit(s, 9, group, (0, 1), generation=1, member="somebody", note="unknown member")
    commit(s, 9, group, (0, 1), note="nobody")
    s.ask("Heartbeat", 4, {"groupId": group, "generationId": 1, "memberId": member}, "classic heartbeat")
    s.ask("SyncGroup", 5, {"groupId": group, "generationId": 1, "memberId": member}, "classic sync")
    s.ask("LeaveGroup", 5, {"groupId": group, "members": [{"memberId": "somebody"}]}, "classic leave")
    s.ask("DescribeGroups", 6, {"groups": [group]}, "as classic")
    s.ask("DeleteGroups", 2, {"groupsNames": [group]}, "busy")
    beat(s, v, group, note="leave", memberEpoch=-1, **light)
    beat(s, v, group, note="leave again", memberEpoch=-1, **light)
    s.ask("ConsumerGroupDescribe", 0, {"groupIds": [group]})


@case("ConsumerGroupDescribe", "unknown, empty and classic groups")
def _(s, v):
    group = "which" + s.unique
    for groups in ([], [""], ["no" + group], ["no" + group, "no" + group]):
        s.ask("ConsumerGroupDescribe", v, {"groupIds": groups}, str(len(groups)))
    s.stable(group)
    s.ask("ConsumerGroupDescribe", v, {"groupIds": [group]}, "classic")


# ---- transactions' offsets ----

ask("FindCoordinator", "an empty key", {"key": "", "coordinatorKeys": [""]})
ask("FindCoordinator", "no keys", {"key": "x", "coordinatorKeys": []})
ask("FindCoordinator", "a key twice", {"key": "x", "coordinatorKeys": ["x", "x"]}, [4, 5, 6])


@case("FindCoordinator", "types", [1, 3, 5, 6])
def _(s, v):
    for type_ in (1, 2, 3, -1, 127):
        s.ask("FindCoordinator", v, {"key": "x", "coordinatorKeys": ["x", "y"], "keyType": type_}, "type %d" % type_)
