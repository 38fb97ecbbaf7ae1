/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <strings.h>

#include "json/json.h"
#include "registry/registry_int.h"
#include "tls/cert.h"
#include "util/clock.h"
#include "util/mem.h"

#define REPLY_MAX         (8u << 20)
#define CONNECT_TIMEOUT_S 15L
#define REDIRECTS_MAX     10L

void reply_done(struct reply *r)
{
	str_done(&r->body);
	str_done(&r->authenticate);
	str_done(&r->content_digest);
	*r = (struct reply) { 0 };
}

static void set_certificates(const struct registry *r, CURL *c)
{
	curl_easy_setopt(c, CURLOPT_CERTINFO, 1L); /* to say what is wrong with one */
	if (r->ca_file)
		curl_easy_setopt(c, CURLOPT_CAINFO, r->ca_file);
	if (r->client_cert) {
		curl_easy_setopt(c, CURLOPT_SSLCERT, r->client_cert);
		curl_easy_setopt(c, CURLOPT_SSLKEY, r->client_key);
	}
	if (r->is_unverified) {
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

CURL *registry_easy(const struct registry *r, const char *url)
{
	CURL *c = curl_easy_init();
	const char *protocols = r->plain ? "http,https" : "https";

	if (!c)
		abort();
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, protocols);
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)r->stall_timeout_s);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "hostel/" HOSTEL_VERSION);
	set_certificates(r, c);
	return c;
}

struct curl_slist *registry_headers(const struct registry *r, const char *const *lines)
{
	struct curl_slist *l = NULL;

	/* curl leaves Authorization out when it is redirected to another host */
	if (r->authorization)
		l = curl_slist_append(l, r->authorization);
	for (size_t i = 0; lines && lines[i]; i++)
		l = curl_slist_append(l, lines[i]);
	return l;
}

static size_t take_body(char *data, size_t one, size_t n, void *arg)
{
	struct reply *r = arg;

	(void)one;
	if (r->body.len + n > REPLY_MAX)
		return 0;
	str_add(&r->body, data, n);
	return n;
}

void registry_header_value(const char *line, size_t n, const char *name, struct str *ret)
{
	size_t at = strlen(name);

	if (n <= at || strncasecmp(line, name, at))
		return;
	while (at < n && (line[at] == ' ' || line[at] == '\t'))
		at++;
	while (n > at && (line[n - 1] == '\r' || line[n - 1] == '\n'))
		n--;
	str_done(ret);
	str_add(ret, line + at, n - at);
}

static size_t take_header(char *data, size_t one, size_t n, void *arg)
{
	struct reply *r = arg;

	(void)one;
	registry_header_value(data, n, "WWW-Authenticate:", &r->authenticate);
	registry_header_value(data, n, "Docker-Content-Digest:", &r->content_digest);
	return n;
}

/* The server's own certificate, as PEM inside of what libcurl noted; NULL: none came. */
static const char *server_cert(CURL *c)
{
	struct curl_certinfo *info = NULL;

	if (curl_easy_getinfo(c, CURLINFO_CERTINFO, &info) != CURLE_OK || !info ||
	    info->num_of_certs < 1)
		return NULL;
	for (const struct curl_slist *l = info->certinfo[0]; l; l = l->next)
		if (!strncmp(l->data, "Cert:", 5))
			return l->data + 5;
	return NULL;
}

static struct err *certificate_error(const struct registry *r, CURL *c, const char *url)
{
	const char *pem = server_cert(c), *at = strstr(url, "://");
	const char *host = at ? at + 3 + (at[3] == '[') : url;
	OWN(mem) char *name = xstrndup(host, strcspn(host, at && at[3] == '[' ? "]" : ":/"));
	OWN(mem)
	char *fault = pem ? cert_fault(pem, strlen(pem), name, clock_wall_ns() / 1000000000) : NULL;

	if (fault)
		return err_new(ERR_DENIED, "Get \"%s\": x509: %s", url, fault);
	return err_new(ERR_DENIED,
		       "Get \"%s\": x509: certificate signed by unknown authority%s%s%s", url,
		       r->certs_hint ? " (to trust it, put the authority's certificate into " : "",
		       r->certs_hint ? r->certs_hint : "", r->certs_hint ? "/ca.crt)" : "");
}

struct err *registry_curl_error(const struct registry *r, CURL *c, const char *url, CURLcode code,
				const char *text)
{
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return certificate_error(r, c, url);
	if (code == CURLE_UNSUPPORTED_PROTOCOL)
		return err_new(ERR_DENIED, "Get \"%s\": plain http is not allowed here", url);
	if (code == CURLE_WRITE_ERROR)
		return err_new(ERR_CORRUPT, "Get \"%s\": the answer is too long", url);
	return err_new(ERR_UNAVAILABLE, "Get \"%s\": %s", url,
		       text && *text ? text : curl_easy_strerror(code));
}

/* @form: posted; NULL: GET */
static struct err *perform(const struct registry *r, const char *url, const char *const *headers,
			   const char *form, struct reply *ret)
{
	CURL *c = registry_easy(r, url);
	struct curl_slist *list = registry_headers(r, headers);
	char text[CURL_ERROR_SIZE] = "";
	struct err *e = NULL;
	CURLcode code;

	curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, ret);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, ret);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, text);
	if (form)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, form);
	str_adds(&ret->body, "");
	code = curl_easy_perform(c);
	if (code != CURLE_OK)
		e = registry_curl_error(r, c, url, code, text);
	else
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &ret->status);
	curl_slist_free_all(list);
	curl_easy_cleanup(c);
	return e;
}

struct err *registry_get(const struct registry *r, const char *url, const char *const *headers,
			 struct reply *ret)
{
	return perform(r, url, headers, NULL, ret);
}

struct err *registry_post(const struct registry *r, const char *url, const char *form,
			  struct reply *ret)
{
	return perform(r, url, NULL, form, ret);
}

/* "MANIFEST_UNKNOWN", "message" as Docker shows them: "manifest unknown: message" */
static char *error_words(const char *body, char **ret_code)
{
	OWN(json) json_t *j = NULL;
	OWN(err) struct err *e = body ? jx_parse(body, strlen(body), &j) : NULL;
	const json_t *first = e ? NULL : json_array_get(json_object_get(j, "errors"), 0);
	char *text;

	if (!first)
		return NULL;
	*ret_code = xstrdup(jx_str(first, "code", "unknown"));
	text = xasprintf("%s: %s", *ret_code, jx_str(first, "message", "unknown error"));
	for (char *p = text; *p && *p != ':'; p++)
		*p = *p == '_' ? ' ' : *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
	return text;
}

struct err *registry_status_error(long status, const char *body, const char *what)
{
	OWN(mem) char *code = NULL;
	OWN(mem) char *words = error_words(body, &code);
	static const struct {
		const char *code;
		enum err_kind kind;
		const char *format; /* of what, words */
	} codes[] = {
		{ "MANIFEST_UNKNOWN", ERR_NOT_FOUND, "manifest for %s not found: %s" },
		{ "NAME_UNKNOWN", ERR_NOT_FOUND, "repository %s not found: %s" },
		{ "DENIED", ERR_DENIED,
		  "pull access denied for %s, repository does not exist or may require "
		  "'docker login': %s" },
	};

	for (size_t i = 0; words && i < ARRAY_SIZE(codes); i++)
		if (streq(codes[i].code, code))
			return err_new(codes[i].kind, codes[i].format, what, words);
	if (status == 404)
		return err_new(ERR_NOT_FOUND, "%s not found: %s", what,
			       words ? words : "the registry answered 404");
	if (status == 401 || status == 403)
		return err_new(ERR_DENIED, "%s: %s", what,
			       words ? words : "unauthorized: authentication required");
	return err_new(status == 429 || status >= 500 ? ERR_UNAVAILABLE : ERR_CORRUPT,
		       "%s: received unexpected HTTP status: %ld%s%s", what, status,
		       words ? ": " : "", words ? words : "");
}
