/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/registry.h"

#include <stdio.h>

#include "json/json.h"
#include "oci/image.h"
#include "oci/ref.h"
#include "registry/registry_int.h"
#include "util/mem.h"

#define HUB          "docker.io"
#define HUB_ENDPOINT "registry-1.docker.io"

static bool is_loopback(const char *domain)
{
	size_t n = *domain == '[' ? strcspn(domain, "]") + 1 : strcspn(domain, ":");

	return (n == 9 && !strncmp(domain, "localhost", n)) || !strncmp(domain, "127.", 4) ||
	       (n == 5 && !strncmp(domain, "[::1]", n));
}

static char *base64(const char *text)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = strlen(text);
	OWN(str) struct str out = { 0 };

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = 0;
		char four[4];

		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (i + k < n ? (unsigned char)text[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			four[k] = i + k > n ? '=' : digits[v >> (18 - 6 * k) & 63];
		str_add(&out, four, 4);
	}
	return str_take(&out);
}

static char *basic_line(const struct registry *r)
{
	OWN(mem) char *pair = xasprintf("%s:%s", r->username, r->password ? r->password : "");
	OWN(mem) char *code = base64(pair);

	return xasprintf("Authorization: Basic %s", code);
}

static struct err *take_token(struct registry *r, const struct reply *reply)
{
	OWN(json) json_t *j = NULL;
	const char *token;

	TRY_MSG(jx_parse(reply->body.buf, reply->body.len, &j), "token");
	token = jx_str(j, "token", jx_str(j, "access_token", ""));
	if (!*token || strpbrk(token, "\r\n"))
		return err_new(ERR_CORRUPT, "the registry's token service sent no token");
	free(r->authorization);
	r->authorization = xasprintf("Authorization: Bearer %s", token);
	return NULL;
}

static struct err *fetch_token(struct registry *r)
{
	OWN(mem) char *scope = xasprintf("repository:%s:pull", r->path);
	OWN(mem) char *url = challenge_token_url(&r->challenge, scope);
	OWN(reply) struct reply reply = { 0 };
	struct err *e;

	/* The token service gets the credentials, nothing else does. */
	free(r->authorization);
	r->authorization = r->username ? basic_line(r) : NULL;
	e = registry_get(r, url, NULL, &reply);
	free(r->authorization);
	r->authorization = NULL;
	TRY(e);
	if (reply.status != 200)
		return registry_status_error(reply.status, reply.body.buf, r->path);
	return take_token(r, &reply);
}

struct err *registry_authenticate(struct registry *r, const char *header)
{
	challenge_done(&r->challenge);
	challenge_parse(header, &r->challenge);
	if (r->challenge.scheme == CHALLENGE_BEARER)
		return fetch_token(r);
	if (r->challenge.scheme == CHALLENGE_BASIC && r->username) {
		free(r->authorization);
		r->authorization = basic_line(r);
		return NULL;
	}
	return err_new(ERR_DENIED, "Get \"%s/\": no basic auth credentials", r->base);
}

/* GET /v2/ tells whether this is a registry, and what it asks for. */
static struct err *ping(struct registry *r)
{
	OWN(mem) char *url = xasprintf("%s/", r->base);
	OWN(reply) struct reply reply = { 0 };

	TRY(registry_get(r, url, NULL, &reply));
	if (reply.status == 401)
		return registry_authenticate(r,
					     reply.authenticate.buf ? reply.authenticate.buf : "");
	if (reply.status != 200)
		return registry_status_error(reply.status, reply.body.buf, url);
	return NULL;
}

/* One on loopback that speaks TLS although it need not; if it does not, @first is what counts. */
static struct err *reach_by_tls(struct registry *r, const char *host, struct err *first)
{
	OWN(mem) char *plain_base = r->base;
	OWN(err) struct err *second = NULL;

	r->base = xasprintf("https://%s/v2", host);
	second = ping(r);
	if (!second || err_kind(second) == ERR_DENIED) {
		err_free(first);
		return TAKE(second);
	}
	free(r->base);
	r->base = TAKE(plain_base);
	return first;
}

static struct err *reach(struct registry *r, const struct registry_options *o)
{
	const char *host = streq(o->domain, HUB) ? HUB_ENDPOINT : o->domain;
	struct err *e;

	if (o->mirror) {
		size_t n = strlen(o->mirror);

		while (n && o->mirror[n - 1] == '/')
			n--;
		r->plain |= !strncmp(o->mirror, "http://", 7);
		r->base = xasprintf("%.*s/v2", (int)n, o->mirror);
		return ping(r);
	}
	r->base = xasprintf("%s://%s/v2", r->plain ? "http" : "https", host);
	e = ping(r);
	if (e && r->plain && err_kind(e) != ERR_DENIED)
		return reach_by_tls(r, host, e);
	return e;
}

struct err *registry_new(const struct registry_options *o, struct registry **ret)
{
	OWN(registry) struct registry *r = xnew(struct registry);

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return err_new(ERR_INTERNAL, "libcurl does not start");
	r->domain = xstrdup(o->domain);
	r->path = xstrdup(o->path);
	r->username = o->username && *o->username ? xstrdup(o->username) : NULL;
	r->password = xstrdup(o->password);
	r->ca_file = xstrdup(o->ca_file);
	r->stall_timeout_s = o->stall_timeout_s > 0 ? o->stall_timeout_s : 30;
	r->tries = o->tries > 0 ? o->tries : 3;
	r->parallel = o->parallel > 0 ? o->parallel : 3;
	r->plain = o->plain_http || is_loopback(o->domain);
	r->multi = curl_multi_init();
	if (!r->multi)
		abort();
	TRY(reach(r, o));
	*ret = TAKE(r);
	return NULL;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	registry_blobs_free(r);
	curl_multi_cleanup(r->multi);
	challenge_done(&r->challenge);
	free(r->domain);
	free(r->path);
	free(r->username);
	free(r->password);
	free(r->ca_file);
	free(r->base);
	free(r->authorization);
	free(r);
}

static struct err *check_manifest(const struct reply *reply, const char *reference,
				  const char *digest)
{
	const char *said = oci_digest_is_valid(reference) ? reference : reply->content_digest.buf;

	if (said && oci_digest_is_valid(said) && !streq(said, digest))
		return err_new(ERR_CORRUPT,
			       "manifest verification failed for digest %s: the registry sent %s",
			       said, digest);
	return NULL;
}

struct err *registry_manifest(struct registry *r, const char *reference, const char *shown,
			      struct str *ret_body, char ret_digest[DIGEST_CHARS])
{
	static const char *const accept[] = {
		"Accept: " OCI_TYPE_INDEX,
		"Accept: " DOCKER_TYPE_LIST,
		"Accept: " OCI_TYPE_MANIFEST,
		"Accept: " DOCKER_TYPE_MANIFEST,
		NULL,
	};
	OWN(mem) char *url = xasprintf("%s/%s/manifests/%s", r->base, r->path, reference);
	OWN(reply) struct reply reply = { 0 };
	char digest[DIGEST_CHARS];

	TRY(registry_get(r, url, accept, &reply));
	if (reply.status == 401 && reply.authenticate.buf) {
		TRY(registry_authenticate(r, reply.authenticate.buf));
		reply_done(&reply);
		TRY(registry_get(r, url, accept, &reply));
	}
	if (reply.status != 200)
		return registry_status_error(reply.status, reply.body.buf, shown);
	digest_of(reply.body.buf, reply.body.len, digest);
	TRY(check_manifest(&reply, reference, digest));
	str_done(ret_body);
	*ret_body = reply.body;
	reply.body = (struct str) { 0 };
	memcpy(ret_digest, digest, DIGEST_CHARS);
	return NULL;
}
