"""Certificates for tests of TLS, made by openssl: an authority of its own, and what it signs."""
import os
import subprocess


def openssl(*args, stdin=None):
    done = subprocess.run(["openssl"] + list(args), input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError("openssl %s ended with %d:\n%s" % (" ".join(args), done.returncode, done.stderr))


class Authority:
    """Its files are in `directory`: <name>.crt, <name>.key (PEM)."""

    def __init__(self, directory, name="authority"):
        self.directory = directory
        self.name = name
        os.makedirs(directory, exist_ok=True)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", "/CN=" + name, "-keyout", self.path(name + ".key"), "-out", self.path(name + ".crt"))

    def path(self, name):
        return os.path.join(self.directory, name)

    @property
    def certificate(self):
        return self.path(self.name + ".crt")

    def sign(self, name, subject, hosts=(), days=30):
        """A key and a certificate (their paths). `hosts`: names that it is for; `days` below 0: it has expired."""
        certificate, key, request = (self.path(name + end) for end in (".crt", ".key", ".csr"))
        names = ["-addext", "subjectAltName=" + ",".join("DNS:" + h for h in hosts)] if hosts else []
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + subject,
                "-keyout", key, "-out", request, *names)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.path(self.name + ".key"),
                "-CAcreateserial", "-days", str(days), "-copy_extensions", "copy", "-out", certificate)
        os.chmod(key, 0o600)
        return certificate, key
