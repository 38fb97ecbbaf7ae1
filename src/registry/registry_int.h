/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_REGISTRY_INT_H
#define REGISTRY_REGISTRY_INT_H

#include <curl/curl.h>

#include "registry/challenge.h"
#include "registry/registry.h"

struct transfer;

struct registry {
	char *domain, *path, *username, *password, *identity_token, *registry_token;
	char *ca_file, *client_cert, *client_key;
	char *certs_hint; /* where its certificates would be looked for first; NULL: nowhere */
	int ca_fd;        /* behind ca_file; 0: none */
	int stall_timeout_s, tries, parallel;
	bool plain;          /* http may be spoken */
	bool is_unverified;  /* nobody looks at its certificate */
	char *base;          /* "https://host/v2" */
	char *authorization; /* header line, or NULL */
	struct challenge challenge;
	CURLM *multi;
	struct transfer *transfers; /* queued and under way */
	int active;
};

/* Answer of a small request. */
struct reply {
	long status;
	struct str body;
	struct str authenticate;   /* WWW-Authenticate */
	struct str content_digest; /* Docker-Content-Digest */
};

/** reply_done() - free the strings; the reply can be used again */
void reply_done(struct reply *r);
static inline void own_reply_release(struct reply *r)
{
	reply_done(r);
}

/** registry_easy() - a handle with what all our requests have in common */
CURL *registry_easy(const struct registry *r, const char *url);

/** registry_headers() - Authorization and the given lines; owned by the caller */
struct curl_slist *registry_headers(const struct registry *r, const char *const *lines);

/**
 * registry_header_value() - take the value of a header line if it is the one named
 * @name: "www-authenticate:"
 */
void registry_header_value(const char *line, size_t n, const char *name, struct str *ret);

/** registry_get() - one small request; any HTTP status is success here */
struct err *registry_get(const struct registry *r, const char *url, const char *const *headers,
			 struct reply *ret) MUST_USE;

/** registry_post() - as registry_get(), with a form as its body */
struct err *registry_post(const struct registry *r, const char *url, const char *form,
			  struct reply *ret) MUST_USE;

/** registry_certs() - read the registry's folder in the first of @folders that has one */
struct err *registry_certs(struct registry *r, const struct strv *folders) MUST_USE;

/**
 * registry_curl_error() - what went wrong below HTTP
 * @c:    handle that it went wrong with
 * @text: libcurl's own words; may be ""
 * Return: ERR_UNAVAILABLE; ERR_DENIED for a certificate that is not trusted.
 */
struct err *registry_curl_error(const struct registry *r, CURL *c, const char *url, CURLcode code,
				const char *text) MUST_USE;

/** registry_status_error() - what an answer other than 2xx means; @body may be NULL */
struct err *registry_status_error(long status, const char *body, const char *what) MUST_USE;

/** registry_authenticate() - answer the challenge of a 401; ERR_DENIED when that is no use */
struct err *registry_authenticate(struct registry *r, const char *header) MUST_USE;

/** registry_blobs_free() - end all transfers without telling anyone */
void registry_blobs_free(struct registry *r);

#endif
