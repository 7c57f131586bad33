#!/usr/bin/env python3
"""An S3 server for tests that checks every signature strictly and misbehaves by script.

    fake_s3.py [--tls CERT_AND_KEY.pem]

Listens on a free port of 127.0.0.1, prints the port on its first line, and ends when its standard input does.
Bucket `bucket`, region `us-east-1`, access key `AKFAKE`, secret key `fakesecret`; path style, and virtual-host style as
bucket.localhost. Control, without signature (all answers are text, one line an item):

    POST /-/fault?op=part&nth=2&do=reset[&times=1]   let the nth request of that kind (1: the next) fail that way
    POST /-/set?name=value                           skew=SECONDS token=TEXT deny=OP conditional=none min_part=BYTES
    POST /-/object?key=K    (body)                   stores an object
    POST /-/upload?key=K                             begins a multipart upload that nobody finishes
    POST /-/reset                                    forgets everything, faults too
    GET  /-/objects  -> key, bytes, sha256, times written       GET /-/uploads -> key, upload id
    GET  /-/log      -> operation, status or fault, key         GET /-/object?key=K -> its bytes

Operations: list (objects), uploads (list unfinished), put, head, create, part, complete, abort.
Faults: 500 503 slowdown 429 (refused), early-503 (refused before the body was read), reset (connection reset in the
middle of the body), lost (done, then reset), half (done, the answer ends early), stall (no answer at all), slow (done, the
answer comes byte by byte), wrong-etag, no-etag (done, but says so), 200-error (complete: an error in a 200), garbage
(done, HTML comes back), gone (the upload is forgotten).
"""

import hashlib
import hmac
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree
from xml.sax.saxutils import escape

BUCKET, REGION, ACCESS, SECRET = "bucket", "us-east-1", "AKFAKE", "fakesecret"
MIN_PART = 5 << 20


class Refused(Exception):
    def __init__(self, status, code, message="refused", headers=None, extra=""):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message
        self.headers, self.extra = headers or {}, extra


class Store:
    """Everything the server knows. `lock` guards all of it."""

    def __init__(self):
        self.lock = threading.RLock()
        self.reset()

    def reset(self):
        with self.lock:
            self.objects, self.written, self.etags, self.meta = {}, {}, {}, {}
            self.uploads, self.upload_meta, self.next_upload = {}, {}, 1
            self.faults, self.counts, self.log = [], {}, []
            self.settings = {"skew": "0", "token": "", "deny": "", "conditional": "", "min_part": str(MIN_PART)}

    def write(self, key, data, etag=None, meta=None):
        self.objects[key] = data
        self.meta[key] = meta or {}
        self.written[key] = self.written.get(key, 0) + 1
        self.etags[key] = etag or hashlib.md5(data).hexdigest()

    def begin(self, key, meta=None):
        upload = "up-%d+/=%s" % (self.next_upload, "&<" if self.next_upload % 2 else "x")
        self.next_upload += 1
        self.uploads[upload] = (key, {})
        self.upload_meta[upload] = meta or {}
        return upload

    def fault(self, op):
        """The fault that this request meets, or None."""
        for f in self.faults:
            if f["op"] != op:
                continue
            f["nth"] -= 1
            if f["nth"] < 0 and f["times"] > 0 or f["nth"] == 0:
                f["times"] -= 1
                return f["do"]
        return None


store = Store()


def quote(text, path=False):
    return urllib.parse.quote(text, safe="/-_.~" if path else "-_.~")


def hmac256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 600
    disable_nagle_algorithm = True  # or every answer waits for a delayed acknowledgement

    def log_message(self, *args):
        pass

    # ---- requests ------------------------------------------------------------------------------------------------

    def do_any(self):
        raw_path, _, self.raw_query = self.path.partition("?")
        self.query = dict(urllib.parse.parse_qsl(self.raw_query, keep_blank_values=True))
        self.raw_path = raw_path
        if raw_path.startswith("/-/"):
            return self.control(raw_path[3:])
        self.done = False
        try:
            self.serve()
        except Refused as r:
            body = "" if self.command == "HEAD" else (
                '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code><Message>%s</Message>%s'
                "<RequestId>R1</RequestId></Error>" % (r.code, escape(r.message), r.extra))
            self.note(r.status)
            self.answer(r.status, body.encode(), r.headers)
        except (ConnectionError, ssl.SSLError, TimeoutError):
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any

    def handle_expect_100(self):
        return super().handle_expect_100()

    def serve(self):
        self.op, self.key = "list", ""
        self.find_key()
        self.op = self.operation()
        with store.lock:
            fault = store.fault(self.op)
        if fault == "early-503":
            self.close_connection = True
            raise Refused(503, "ServiceUnavailable")
        if fault == "reset":
            self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
            self.note("reset")
            return self.reset_connection()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.check_signature(body)
        if fault in ("500", "503", "429", "slowdown"):
            code = {"500": "InternalError", "503": "ServiceUnavailable", "429": "TooManyRequests"}
            raise Refused(503 if fault == "slowdown" else int(fault), code.get(fault, "SlowDown"))
        if fault == "stall":
            self.note("stall")
            self.connection.settimeout(600)
            self.connection.recv(1)  # until the client gives up
            self.close_connection = True
            return None
        with store.lock:
            if store.settings["deny"] == self.op:
                raise Refused(403, "AccessDenied", "Access Denied")
            if fault == "gone":
                store.uploads.pop(self.query.get("uploadId"), None)
            if fault == "200-error":
                self.note("200-error")
                return self.answer(200, b"<?xml version='1.0'?>\n<Error><Code>InternalError</Code></Error>")
            status, text, headers = getattr(self, "op_" + self.op)(body)
            self.note(fault or status)
        return self.reply(fault, status, text, headers)

    def reply(self, fault, status, text, headers):
        if fault == "lost":
            return self.reset_connection()
        if fault == "wrong-etag":
            headers["ETag"] = '"%s"' % ("0" * 32)
        if fault == "no-etag":
            headers.pop("ETag", None)
        if fault == "garbage":
            return self.answer(200, b"<html>hello</html>", headers)
        if fault == "half":
            return self.answer_half(status, text, headers)
        if fault == "slow":
            return self.answer_slowly(status, text, headers)
        return self.answer(status, text, headers)

    def find_key(self):
        path = urllib.parse.unquote(self.raw_path)
        if quote(path, True) != self.raw_path:
            raise Refused(400, "InvalidURI", "path is not in canonical form: " + self.raw_path)
        host = self.headers.get("Host", "")
        if host.startswith(BUCKET + ".localhost:"):
            self.key = path[1:]
            return
        bucket, _, self.key = path[1:].partition("/")
        if bucket != BUCKET:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")

    def operation(self):
        if not self.key:
            return "uploads" if "uploads" in self.query else "list"
        if self.command == "POST":
            return "create" if "uploads" in self.query else "complete"
        return {"PUT": "part" if "uploadId" in self.query else "put", "HEAD": "head", "DELETE": "abort"}[self.command]

    # ---- signature -----------------------------------------------------------------------------------------------

    def check_signature(self, body):
        words = self.headers.get("Authorization", "").split(" ", 1)
        if words[0] != "AWS4-HMAC-SHA256":
            raise Refused(403, "AccessDenied", "no signature")
        fields = dict(item.strip().split("=", 1) for item in words[1].split(","))
        access, date, region, service, end = fields["Credential"].split("/")
        if access != ACCESS:
            raise Refused(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist")
        if region != REGION:
            raise Refused(400, "AuthorizationHeaderMalformed", "the region '%s' is wrong; expecting '%s'" % (region, REGION),
                          {"x-amz-bucket-region": REGION}, "<Region>%s</Region>" % REGION)
        stamp = self.headers.get("x-amz-date", "")
        age = time.time() + int(store.settings["skew"]) - (
            time.mktime(time.strptime(stamp, "%Y%m%dT%H%M%SZ")) - time.timezone)
        if abs(age) > 900:
            raise Refused(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is "
                          "too large", extra="<ServerTime>2013-05-24T00:00:00Z</ServerTime>")
        signed = fields["SignedHeaders"].split(";")
        present = [h.lower() for h in self.headers if h.lower().startswith("x-amz-")] + ["host"]
        missing = [h for h in present if h not in signed]
        if signed != sorted(signed) or missing or (service, end) != ("s3", "aws4_request") or stamp[:8] != date:
            raise Refused(403, "SignatureDoesNotMatch", "headers %s %s" % (signed, missing))
        if store.settings["token"] and self.headers.get("x-amz-security-token") != store.settings["token"]:
            raise Refused(400, "InvalidToken")
        payload = self.headers.get("x-amz-content-sha256", "")
        text = self.canonical(signed, payload)
        to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, "/".join([date, region, "s3", "aws4_request"]),
                             hashlib.sha256(text.encode()).hexdigest()])
        key = ("AWS4" + SECRET).encode()
        for part in (date, region, "s3", "aws4_request"):
            key = hmac256(key, part)
        if hmac256(key, to_sign).hex() != fields["Signature"]:
            raise Refused(403, "SignatureDoesNotMatch", text)
        if payload != hashlib.sha256(body).hexdigest():
            raise Refused(400, "XAmzContentSHA256Mismatch")

    def canonical(self, signed, payload):
        items = sorted((quote(k), quote(v)) for k, v in
                       urllib.parse.parse_qsl(self.raw_query, keep_blank_values=True))
        query = "&".join("%s=%s" % item for item in items)
        if query != self.raw_query:
            raise Refused(400, "InvalidURI", "query is not in canonical form: " + self.raw_query)
        headers = "".join("%s:%s\n" % (h, " ".join(self.headers.get(h, "").split())) for h in signed)
        return "\n".join([self.command, self.raw_path, query, headers, ";".join(signed), payload])

    # ---- operations; called with the lock held -------------------------------------------------------------------

    def op_list(self, body):
        found = sorted(k for k in store.objects if k.startswith(self.query.get("prefix", "")))
        found = found[:int(self.query.get("max-keys", "1000"))]
        encoded = self.query.get("encoding-type") == "url"
        text = "".join("<Contents><Key>%s</Key></Contents>" % escape(urllib.parse.quote_plus(k) if encoded else k) for k in found)
        return 200, ("<ListBucketResult><KeyCount>%d</KeyCount>%s%s</ListBucketResult>" % (
            len(found), text, "<EncodingType>url</EncodingType>" if encoded else "")).encode(), {}

    def op_uploads(self, body):
        found = sorted((key, upload) for upload, (key, _) in store.uploads.items()
                       if key.startswith(self.query.get("prefix", "")))
        marker = (self.query.get("key-marker", ""), self.query.get("upload-id-marker", ""))
        if marker[0]:
            found = [f for f in found if f > marker]
        page, more = found[:2], len(found) > 2  # small pages, so that tests meet several
        text = "".join("<Upload><Key>%s</Key><UploadId>%s</UploadId></Upload>" %
                       (escape(urllib.parse.quote_plus(key)), escape(upload)) for key, upload in page)
        if more:
            text += "<NextKeyMarker>%s</NextKeyMarker><NextUploadIdMarker>%s</NextUploadIdMarker>" % (
                escape(urllib.parse.quote_plus(page[-1][0])), escape(page[-1][1]))
        return 200, ("<?xml version='1.0'?><ListMultipartUploadsResult><IsTruncated>%s</IsTruncated>%s"
                     "<EncodingType>url</EncodingType></ListMultipartUploadsResult>" %
                     (str(more).lower(), text)).encode(), {}

    def check_condition(self):
        if "If-None-Match" not in self.headers:
            return
        if store.settings["conditional"] == "none":
            raise Refused(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
        if self.key in store.objects:
            raise Refused(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")

    def op_put(self, body):
        self.check_condition()
        store.write(self.key, body, None, self.metadata())
        return 200, b"", {"ETag": '"%s"' % store.etags[self.key]}

    def metadata(self):
        return {h.lower(): v for h, v in self.headers.items() if h.lower().startswith("x-amz-meta-")}

    def op_head(self, body):
        if self.key not in store.objects:
            raise Refused(404, "NoSuchKey")
        return 200, store.objects[self.key], dict(store.meta[self.key], ETag='"%s"' % store.etags[self.key])

    def op_create(self, body):
        upload = store.begin(self.key, self.metadata())
        return 200, ("<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>" %
                     escape(upload)).encode(), {}

    def upload(self):
        key, parts = store.uploads.get(self.query["uploadId"], (None, None))
        if key != self.key:
            raise Refused(404, "NoSuchUpload", "The specified upload does not exist")
        return parts

    def op_part(self, body):
        self.upload()[int(self.query["partNumber"])] = body
        return 200, b"", {"ETag": '"%s"' % hashlib.md5(body).hexdigest()}

    def op_complete(self, body):
        parts, data, sums = self.upload(), [], b""
        wanted = [(int(p.find("{*}PartNumber").text), p.find("{*}ETag").text.strip('"'))
                  for p in ElementTree.fromstring(body).iter("{http://s3.amazonaws.com/doc/2006-03-01/}Part")]
        for i, (number, etag) in enumerate(wanted):
            if number != i + 1:
                raise Refused(400, "InvalidPartOrder")
            if number not in parts or hashlib.md5(parts[number]).hexdigest() != etag:
                raise Refused(400, "InvalidPart", "part %d" % number)
            if i < len(wanted) - 1 and len(parts[number]) < int(store.settings["min_part"]):
                raise Refused(400, "EntityTooSmall")
            data.append(parts[number])
            sums += hashlib.md5(parts[number]).digest()
        self.check_condition()
        store.write(self.key, b"".join(data), "%s-%d" % (hashlib.md5(sums).hexdigest(), len(data)),
                    store.upload_meta[self.query["uploadId"]])
        del store.uploads[self.query["uploadId"]]
        return 200, ("<?xml version='1.0'?>\n \n<CompleteMultipartUploadResult><ETag>&quot;%s&quot;</ETag>"
                     "</CompleteMultipartUploadResult>" % store.etags[self.key]).encode(), {}

    def op_abort(self, body):
        self.upload()
        del store.uploads[self.query["uploadId"]]
        return 204, b"", {}

    # ---- answers -------------------------------------------------------------------------------------------------

    def note(self, what):
        with store.lock:
            store.log.append("%s\t%s\t%s" % (getattr(self, "op", "?"), what, getattr(self, "key", "")))

    def send_head(self, status, n, headers):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(n))
        self.end_headers()

    def answer(self, status, body, headers=None):
        self.send_head(status, len(body), headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_half(self, status, body, headers):
        body = body or b"1234567890"
        self.send_head(200 if status == 204 else status, len(body), headers)
        self.wfile.write(body[:len(body) // 2])
        self.close_connection = True

    def answer_slowly(self, status, body, headers):
        self.send_head(status, len(body), headers)
        for i in range(len(body)):
            self.wfile.write(body[i:i + 1])
            self.wfile.flush()
            time.sleep(0.002)

    def reset_connection(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    # ---- control -------------------------------------------------------------------------------------------------

    def control(self, what):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        q = self.query
        with store.lock:
            if what == "fault":
                store.faults.append({"op": q["op"], "nth": int(q.get("nth", "1")), "do": q["do"],
                                     "times": int(q.get("times", "1"))})
            elif what == "set":
                store.settings.update(q)
            elif what == "reset":
                store.reset()
            elif what == "object" and self.command == "POST":
                store.write(q["key"], body)
            elif what == "object":
                return self.answer(200, store.objects.get(q["key"], b""))
            elif what == "upload":
                return self.answer(200, store.begin(q["key"]).encode())
            text = {"objects": ["%s\t%d\t%s\t%d" % (k, len(v), hashlib.sha256(v).hexdigest(), store.written[k])
                                for k, v in sorted(store.objects.items())],
                    "uploads": sorted("%s\t%s" % (key, u) for u, (key, _) in store.uploads.items()),
                    "log": store.log}.get(what, [])
        return self.answer(200, "".join(line + "\n" for line in text).encode())


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError, TimeoutError, ValueError, OSError)):
            super().handle_error(request, client_address)


def main():
    server = Server(("127.0.0.1", 0), Handler)
    if len(sys.argv) == 3 and sys.argv[1] == "--tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
