/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

/*
 * TLS 1.3 between two hosts that have each other's certificates: both sides show theirs, and
 * take only one that is pinned.  No names, no authorities, no dates, no resumption.
 *
 * Context: workers; everything blocks, on a blocking descriptor.
 */

#include <stdbool.h>

#include "tls/digest.h"
#include "util/str.h"

struct tls_session;

struct tls_setup {
	int fd; /* connected stream; borrowed, must outlive the session */
	bool is_server;
	const char *certificate, *key; /* our own, PEM */
	const struct strv *peers;      /* PEM of each that may be at the other end */
	int handshake_ms;              /* time limit of the handshake; 0: none */
};

/**
 * tls_session_open() - shake hands
 * Return: NULL; ERR_DENIED for a peer that is not trusted (or, as far as it says so in time, one
 *         that does not trust us: a client hears it at its first read), ERR_UNAVAILABLE when the
 *         connection breaks or the time is over, ERR_UNSUPPORTED for what speaks no TLS 1.3.
 */
struct err *tls_session_open(const struct tls_setup *s, struct tls_session **ret) MUST_USE;
void tls_session_free(struct tls_session *s);
DEFINE_OWN(tls_session, tls_session_free)

/** tls_session_peer() - fingerprint of the certificate at the other end; borrowed */
const char *tls_session_peer(const struct tls_session *s);

/**
 * tls_session_read() - some bytes
 * @ret_n: 0 when the other side said that no more will come
 * Return: NULL; ERR_UNAVAILABLE for a connection that was cut; ERR_CORRUPT for bytes that were
 *         tampered with; ERR_DENIED when the peer does not trust us.
 */
struct err *tls_session_read(struct tls_session *s, void *buf, size_t size, size_t *ret_n) MUST_USE;

/** tls_session_write() - all of them */
struct err *tls_session_write(struct tls_session *s, const void *data, size_t n) MUST_USE;

/** tls_session_pending() - bytes that can be read although the descriptor shows nothing */
size_t tls_session_pending(const struct tls_session *s);

/** tls_session_bye() - say that no more will come */
void tls_session_bye(struct tls_session *s);

#endif
