/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

/*
 * Pulling from a registry, on libcurl: one repository, its manifests (blocking) and
 * its blobs (several at a time).  Every byte is checked against the digest and
 * length that were asked for.
 *
 * Plain http is spoken with localhost, 127.0.0.0/8 and [::1], or on request; certificates are
 * verified unless it is asked not to; credentials are never sent to another host than the one
 * that asked for them.
 *
 * Context: worker; one thread; blocks.
 *
 * Spec: OCI distribution 1.1; Docker registry HTTP API V2; Docker token authentication.
 */

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "tls/digest.h"
#include "util/err.h"
#include "util/str.h"

struct registry;

struct registry_options {
	const char *domain;   /* "docker.io", "localhost:5000" */
	const char *path;     /* "library/debian" */
	const char *mirror;   /* base URL to use instead of the domain's; NULL */
	bool plain_http;      /* asked for */
	bool insecure;        /* asked for: its certificate is not looked at, http may be spoken */
	const char *username; /* NULL: anonymous */
	const char *password;
	const char *identity_token; /* stands for name and password at the token service */
	const char *registry_token; /* bearer token that is sent as it is */
	const char *ca_file;        /* NULL: the system's, and those of @certs */
	const struct strv *certs;   /* folders with HOST:PORT/ in them, as Docker's certs.d */
	int stall_timeout_s;        /* give up after so long without a byte; 0: 30 */
	int tries;                  /* per blob, for transport errors; 0: 3 */
	int parallel;               /* blobs at a time; 0: 3 */
};

/**
 * registry_new() - reach the registry and authenticate
 * Return: NULL; ERR_UNAVAILABLE when it cannot be reached; ERR_DENIED.
 */
struct err *registry_new(const struct registry_options *o, struct registry **ret) MUST_USE;

/**
 * registry_login() - do the credentials do?  Nothing else is done; @o->path: not looked at
 * Return: NULL; ERR_DENIED; ERR_UNAVAILABLE.
 */
struct err *registry_login(const struct registry_options *o) MUST_USE;

/** registry_free() - ends what is under way; no callback comes any more */
void registry_free(struct registry *r);
DEFINE_OWN(registry, registry_free)

/**
 * registry_manifest() - fetch a manifest or index
 * @reference:  tag or digest; with a digest the content is verified
 * @shown:      the image's name in error messages, "localhost:5000/x:y"
 * @ret_body:   the document's bytes
 * @ret_digest: of the bytes
 * Return: NULL; ERR_NOT_FOUND, ERR_DENIED in Docker's words; ERR_CORRUPT for a wrong digest;
 *         ERR_UNAVAILABLE.
 */
struct err *registry_manifest(struct registry *r, const char *reference, const char *shown,
			      struct str *ret_body, char ret_digest[DIGEST_CHARS]) MUST_USE;

/* A blob that is wanted; the pointers must stay valid until @done. */
struct registry_blob {
	const char *digest;
	int64_t size;
	const char *path; /* new file that gets the bytes */
	/* @received: bytes so far; may be NULL */
	void (*progress)(void *arg, int64_t received);
	/* Called once. NULL: @path holds exactly the bytes that were asked for. Owns @e */
	void (*done)(void *arg, struct err *e);
	void *arg;
};

/** registry_blob_add() - queue a blob; downloads go on in registry_step() */
void registry_blob_add(struct registry *r, const struct registry_blob *b);

/** registry_is_idle() - nothing queued, nothing under way */
bool registry_is_idle(const struct registry *r);

/**
 * registry_step() - wait for the network or for one of @fds (poll(2)), and go on
 * @fds:        at most 16
 * @timeout_ms: at most so long
 */
void registry_step(struct registry *r, struct pollfd *fds, size_t n_fds, int timeout_ms);

#endif
