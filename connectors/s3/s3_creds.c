/*
 * s3_creds: options, environment, ~/.aws/credentials. See s3_creds.h.
 */
#include "s3_creds.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/io.h"
#include "base/mem.h"

#define CREDENTIALS_FILE_MAX (1u << 20)

static void wipe(char *s)
{
    if (s)
        OPENSSL_cleanse(s, strlen(s));
    mem_free(s);
}

void creds_free(struct s3_creds *c)
{
    wipe(c->access_key);
    wipe(c->secret_key);
    wipe(c->session_token);
    memset(c, 0, sizeof *c);
}

/* Copies what is there; both keys are needed. `where` says what to complain about. */
static int take(struct s3_creds *out, const char *access, const char *secret, const char *token,
                const char *where, struct err *e)
{
    if (!access || !secret || !*access || !*secret)
        return err_set(e, ERR_INVALID_CONFIG, "%s: access key and secret key must both be given", where);
    out->access_key = mem_strdup(access);
    out->secret_key = mem_strdup(secret);
    out->session_token = token && *token ? mem_strdup(token) : NULL;
    if (out->access_key && out->secret_key && (out->session_token || !token || !*token))
        return ERR_OK;
    creds_free(out);
    return err_nomem(e);
}

struct span {
    const char *p;
    size_t n;
};

static struct span trim(const char *p, size_t n)
{
    while (n && strchr(" \t\r", *p)) {
        p++;
        n--;
    }
    while (n && strchr(" \t\r", p[n - 1]))
        n--;
    return (struct span){p, n};
}

static bool span_is(struct span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static int set_value(char **field, struct span value, struct err *e)
{
    wipe(*field);
    *field = mem_strndup(value.p, value.n);
    return *field ? ERR_OK : err_nomem(e);
}

/* "name = value" inside the wanted profile; other names are none of our business. */
static int read_line(struct s3_creds *out, struct span line, struct err *e)
{
    const char *eq = memchr(line.p, '=', line.n);
    struct span name, value;

    if (!eq)
        return ERR_OK;
    name = trim(line.p, (size_t)(eq - line.p));
    value = trim(eq + 1, line.n - (size_t)(eq + 1 - line.p));
    if (span_is(name, "aws_access_key_id"))
        return set_value(&out->access_key, value, e);
    if (span_is(name, "aws_secret_access_key"))
        return set_value(&out->secret_key, value, e);
    if (span_is(name, "aws_session_token"))
        return set_value(&out->session_token, value, e);
    return ERR_OK;
}

int creds_parse(const char *text, const char *profile, struct s3_creds *out, struct err *e)
{
    bool inside = false;
    int rc = ERR_OK;

    memset(out, 0, sizeof *out);
    while (*text && rc == ERR_OK) {
        size_t n = strcspn(text, "\n");
        struct span line = trim(text, n);

        if (line.n >= 2 && line.p[0] == '[' && line.p[line.n - 1] == ']')
            inside = span_is(trim(line.p + 1, line.n - 2), profile);
        else if (inside && line.n && line.p[0] != '#' && line.p[0] != ';')
            rc = read_line(out, line, e);
        text += n + (text[n] == '\n');
    }
    if (rc == ERR_OK && (!out->access_key || !out->secret_key))
        rc = err_set(e, ERR_NOT_FOUND, "profile %s has no aws_access_key_id and aws_secret_access_key",
                     profile);
    if (rc)
        creds_free(out);
    return rc;
}

static int nothing_found(struct err *e, const char *detail)
{
    return err_set(
        e, ERR_INVALID_CONFIG,
        "no credentials: set aws.access.key.id and aws.secret.access.key, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY in the environment, or a profile in ~/.aws/credentials (%s)",
        detail);
}

static int read_credentials_file(const char *profile, struct s3_creds *out, struct err *e)
{
    const char *named = getenv("AWS_SHARED_CREDENTIALS_FILE"), *home = getenv("HOME");
    char *path, *text = NULL;
    struct err why;
    size_t len;
    int rc;

    if (!named && !home)
        return nothing_found(e, "HOME is not set");
    path = named ? mem_strdup(named) : mem_printf("%s/.aws/credentials", home);
    if (!path)
        return err_nomem(e);
    rc = io_read_file(path, CREDENTIALS_FILE_MAX, &text, &len, &why);
    if (rc == ERR_OK)
        rc = creds_parse(text, profile, out, &why);
    if (text)
        OPENSSL_cleanse(text, len);
    mem_free(text);
    if (rc)
        rc = why.code == ERR_NO_MEMORY ? err_nomem(e) : nothing_found(e, why.text);
    mem_free(path);
    return rc;
}

int creds_find(const struct s3_creds_options *o, struct s3_creds *out, struct err *e)
{
    const char *access = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
    const char *profile = o->profile ? o->profile : getenv("AWS_PROFILE");

    memset(out, 0, sizeof *out);
    if (o->access_key || o->secret_key)
        return take(out, o->access_key, o->secret_key, o->session_token,
                    "aws.access.key.id and aws.secret.access.key", e);
    if (!o->profile && (access || secret))
        return take(out, access, secret, getenv("AWS_SESSION_TOKEN"),
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment", e);
    return read_credentials_file(profile ? profile : "default", out, e);
}
