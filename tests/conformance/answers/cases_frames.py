"""Frames that are no requests, and requests that end too early or too late."""
import struct

from answers.cases import CASES, Case, case
from answers.side import framed


def header(key, version, correlation=1):
    return struct.pack(">hhih", key, version, correlation, -1)


for _name, _data in {
        "2 GiB": struct.pack(">i", 0x7fffffff), "a length below 0": struct.pack(">i", -1),
        "more than socket.request.max.bytes": struct.pack(">i", 104857601),
        "no room for a header": framed(b"\0\3\0\0\0\0\0"),
        "an unknown key": framed(header(999, 0)), "a key below 0": framed(header(-1, 0)),
        "LeaderAndIsr": framed(header(4, 0)), "StopReplica": framed(header(5, 0)), "UpdateMetadata": framed(header(6, 0)),
        "ControlledShutdown": framed(header(7, 0)), "Vote": framed(header(52, 0)), "BrokerRegistration": framed(header(62, 0)),
        "ApiVersions of a version below 0": framed(header(18, -1)),
        "a client id that is longer than the frame": framed(struct.pack(">hhih", 3, 0, 1, 500) + b"ab"),
        "Produce 0": framed(header(0, 0) + struct.pack(">hii", 1, 1000, 0)),
        "Produce 2": framed(header(0, 2) + struct.pack(">hii", 1, 1000, 0))}.items():
    CASES.append(Case("frame: " + _name, "ApiVersions", lambda s, v, d=_data, n=_name: s.raw(d, n), [0]))


@case("ApiVersions", "a version that is too new", [0])
def _(s, v):
    for version in (5, 99, 32767):
        s.raw(framed(header(18, version) + b"\0"), "version %d" % version)
        s.raw(framed(header(18, version) + b"\0\3abc"), "version %d and a body" % version)
        s.raw(framed(header(18, version)), "version %d with an older version's header" % version)
        s.raw(framed(header(18, version)[:-2]), "version %d without a client id" % version)


@case("DescribeGroups", "lengths below -1", [0])
def _(s, v):
    # Kafka takes them for null, where a request is not flexible.
    s.ask("DescribeGroups", 0, {"groups": ["nobody"]}, "client id of length -2",
          mend=lambda d: d[:8] + struct.pack(">h", -2) + d[10 + len("answers"):])
    s.ask("OffsetFetch", 2, {"groupId": "nobody", "topics": None}, "topics of length -2", mend=lambda d: d[:-4] + struct.pack(">i", -2))
    s.ask("DescribeGroups", 0, {"groups": []}, "groups of length -3", mend=lambda d: d[:-4] + struct.pack(">i", -3))
    s.ask("SaslHandshake", 0, {"mechanism": ""}, "mechanism of length -2", mend=lambda d: d[:-2] + struct.pack(">h", -2))


@case("ApiVersions", "names of software", [3, 4])
def _(s, v):
    for name, version in (("", "1"), ("good", ""), ("-x", "1"), ("x-", "1"), ("a b", "1"), ("ä", "1"), ("a", "1.0-b.C")):
        s.ask("ApiVersions", v, {"clientSoftwareName": name, "clientSoftwareVersion": version}, "%r %r" % (name, version))


# What is asked of each api here is small and harmless, and answered with an error or nothing.
PLAIN = {"Produce": {"acks": 1}, "InitProducerId": {"transactionTimeoutMs": 1000}, "Metadata": {"topics": []},
         "DescribeLogDirs": {"topics": []}, "DescribeTopicPartitions": {"topics": [{"name": "t"}]},
         "ElectLeaders": {"topicPartitions": []}, "ListGroups": {"statesFilter": ["Nonsense"]},
         "ListConfigResources": {"resourceTypes": [16]}, "OffsetFetch": {"groupId": "nobody"}}
# With these nothing is said about surplus bytes: what other cases left would be listed, or Kafka does not answer at all.
SILENT_ON = {("ListGroups", 0), ("ListGroups", 2), ("Metadata", 0), ("AddPartitionsToTxn", 4), ("AddPartitionsToTxn", 5)}
SURPLUS = b"\0\1\2"


def every_api(side):
    """Cases for each api that the side offers."""
    for api in sorted(side.offers):
        if api in ("JoinGroup", "SyncGroup"):
            continue  # with their own cases
        body = PLAIN.get(api, {})
        yield Case("%s: surplus bytes" % api, api, lambda s, v, a=api, b=body: surplus(s, v, a, b))
        yield Case("%s: a byte is missing" % api, api, lambda s, v, a=api, b=body: truncated(s, v, a, b))
        yield Case("%s: a version too new" % api, api, lambda s, v, a=api: newer(s, a), [side.offers[api][1]])


def surplus(s, v, api, body):
    if (api, v) not in SILENT_ON:
        s.ask(api, v, body, "3 bytes too many", mend=lambda d: d + SURPLUS)


def truncated(s, v, api, body):
    whole = s.codec.request(api, v, body)
    if len(whole) > len(s.codec.request("ApiVersions", 0, {})) + 1:  # else there is no body that could lack something
        s.ask(api, v, body, "the last byte is missing", mend=lambda d: d[:-1])


def newer(s, api):
    key = s.codec.apis[api][0]
    if api != "ApiVersions":
        s.raw(framed(header(key, 99)), "version 99 of %s" % api)
