/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_IDENTITY_H
#define TLS_IDENTITY_H

/*
 * Who a host is to another one: a key (ECDSA P-256) and a certificate signed by it.  Nobody else
 * signs: a host is trusted because its certificate was given to the other by hand, and compared
 * byte by byte.  So names and dates in it mean nothing.
 *
 * Context: workers; blocks.
 */

#include "tls/digest.h"

#define IDENTITY_PEM_MAX 16384

/* PEM, owned. */
struct identity {
	char *certificate, *key;
};

/** identity_done() - the key is wiped first */
void identity_done(struct identity *id);
static inline void own_identity_release(struct identity *id)
{
	identity_done(id);
}

/**
 * identity_make() - a new key and its certificate
 * @name: put into it for people to see
 */
struct err *identity_make(const char *name, struct identity *ret) MUST_USE;

/**
 * identity_open() - that of a folder, made when there is none yet
 * @dir: made when missing; "identity.pem" in it holds both, for its owner only
 * Return: NULL; ERR_CORRUPT when the file holds something else; a system error.
 */
struct err *identity_open(const char *dir, const char *name, struct identity *ret) MUST_USE;

/**
 * certificate_read() - exactly one certificate, from what somebody gave us
 * @pem, @len: PEM, with or without text around
 * @ret_pem:   the certificate and nothing else; owned by the caller
 * @fingerprint: "sha256:HEX" of its DER
 * Return: NULL; ERR_INVALID.
 */
struct err *certificate_read(const char *pem, size_t len, char **ret_pem,
			     char fingerprint[DIGEST_CHARS]) MUST_USE;

#endif
