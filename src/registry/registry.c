/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/registry.h"

#include <stdio.h>
#include <unistd.h>

#include "json/json.h"
#include "oci/image.h"
#include "oci/ref.h"
#include "registry/registry_int.h"
#include "util/base64.h"
#include "util/mem.h"

#define HUB          "docker.io"
#define HUB_ENDPOINT "registry-1.docker.io"

static bool is_loopback(const char *domain)
{
	size_t n = *domain == '[' ? strcspn(domain, "]") + 1 : strcspn(domain, ":");

	return (n == 9 && !strncmp(domain, "localhost", n)) || !strncmp(domain, "127.", 4) ||
	       (n == 5 && !strncmp(domain, "[::1]", n));
}

static char *basic_line(const struct registry *r)
{
	OWN(mem) char *pair = xasprintf("%s:%s", r->username, r->password ? r->password : "");
	OWN(mem) char *code = xcalloc(BASE64_TEXT_SIZE(strlen(pair)), 1);

	base64_encode(pair, strlen(pair), code);
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

/* The token service gets the credentials, nothing else does. */
static struct err *ask_by_password(struct registry *r, const char *scope, struct reply *reply)
{
	OWN(mem) char *url = challenge_token_url(&r->challenge, scope);
	struct err *e;

	r->authorization = r->username ? basic_line(r) : NULL;
	e = registry_get(r, url, NULL, reply);
	free(TAKE(r->authorization));
	return e;
}

static struct err *ask_by_token(struct registry *r, const char *scope, struct reply *reply)
{
	OWN(mem) char *form = challenge_token_form(&r->challenge, scope, r->identity_token);

	return registry_post(r, r->challenge.realm ? r->challenge.realm : "", form, reply);
}

static struct err *fetch_token(struct registry *r)
{
	OWN(mem) char *scope = *r->path ? xasprintf("repository:%s:pull", r->path) : NULL;
	OWN(reply) struct reply reply = { 0 };

	free(TAKE(r->authorization));
	TRY(r->identity_token ? ask_by_token(r, scope, &reply) : ask_by_password(r, scope, &reply));
	if (reply.status != 200)
		return registry_status_error(reply.status, reply.body.buf,
					     *r->path ? r->path : r->domain);
	return take_token(r, &reply);
}

struct err *registry_authenticate(struct registry *r, const char *header)
{
	challenge_done(&r->challenge);
	challenge_parse(header, &r->challenge);
	if (r->registry_token && !strpbrk(r->registry_token, "\r\n")) {
		free(r->authorization);
		r->authorization = xasprintf("Authorization: Bearer %s", r->registry_token);
		return NULL;
	}
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

static struct err *reach_by(struct registry *r, const char *scheme, const char *host)
{
	free(r->base);
	r->base = xasprintf("%s://%s/v2", scheme, host);
	return ping(r);
}

/*
 * One on loopback is asked without TLS first, one that is insecure on request with it.  When both
 * fail the first tells why, but for what a TLS server answers to http: that it is none of it.
 */
static struct err *reach_by_either(struct registry *r, const char *host, bool plain_first)
{
	struct err *first = reach_by(r, plain_first ? "http" : "https", host), *second;

	if (!first || err_kind(first) == ERR_DENIED)
		return first;
	second = reach_by(r, plain_first ? "https" : "http", host);
	if (!second || err_kind(second) == ERR_DENIED ||
	    (plain_first && err_kind(first) == ERR_CORRUPT)) {
		err_free(first);
		return second;
	}
	err_free(second);
	return first;
}

static struct err *reach(struct registry *r, const struct registry_options *o)
{
	const char *host = streq(o->domain, HUB) ? HUB_ENDPOINT : o->domain;

	if (o->mirror) {
		size_t n = strlen(o->mirror);

		while (n && o->mirror[n - 1] == '/')
			n--;
		r->plain |= !strncmp(o->mirror, "http://", 7);
		r->base = xasprintf("%.*s/v2", (int)n, o->mirror);
		return ping(r);
	}
	if (!r->plain)
		return reach_by(r, "https", host);
	return reach_by_either(r, host, o->plain_http || is_loopback(o->domain));
}

/* Its certificates are looked for by this name. */
static char *mirror_host(const char *url)
{
	const char *at = strstr(url, "://"), *host = at ? at + 3 : url;

	return xstrndup(host, strcspn(host, "/"));
}

static char *said(const char *text)
{
	return text && *text ? xstrdup(text) : NULL;
}

struct err *registry_new(const struct registry_options *o, struct registry **ret)
{
	OWN(registry) struct registry *r = xnew(struct registry);

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return err_new(ERR_INTERNAL, "libcurl does not start");
	r->domain = o->mirror ? mirror_host(o->mirror) : xstrdup(o->domain);
	r->path = xstrdup(o->path);
	r->username = said(o->username);
	r->password = xstrdup(o->password);
	r->identity_token = said(o->identity_token);
	r->registry_token = said(o->registry_token);
	r->ca_file = xstrdup(o->ca_file);
	r->is_unverified = o->insecure;
	r->stall_timeout_s = o->stall_timeout_s > 0 ? o->stall_timeout_s : 30;
	r->tries = o->tries > 0 ? o->tries : 3;
	r->parallel = o->parallel > 0 ? o->parallel : 3;
	r->plain = o->plain_http || o->insecure || is_loopback(o->domain);
	r->multi = curl_multi_init();
	if (!r->multi)
		abort();
	TRY(registry_certs(r, o->certs));
	TRY(reach(r, o));
	*ret = TAKE(r);
	return NULL;
}

struct err *registry_login(const struct registry_options *o)
{
	OWN(registry) struct registry *r = NULL;
	OWN(mem) char *url = NULL;
	OWN(reply) struct reply reply = { 0 };

	TRY(registry_new(o, &r));
	/* What it asked for was only now given to it. */
	url = xasprintf("%s/", r->base);
	TRY(registry_get(r, url, NULL, &reply));
	return reply.status == 200 ? NULL
				   : registry_status_error(reply.status, reply.body.buf, url);
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
	free(r->identity_token);
	free(r->registry_token);
	free(r->ca_file);
	free(r->client_cert);
	free(r->client_key);
	free(r->certs_hint);
	if (r->ca_fd)
		close(r->ca_fd);
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
