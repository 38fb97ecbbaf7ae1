/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_PEER_H
#define MODEL_PEER_H

/*
 * Where another hosteld takes instances: tcp+tls://HOST:PORT, tcp+tls://[::1]:PORT or
 * unix:///PATH (of this machine, root's).  And the first words of two hostel-migrate.
 *
 * Pure: no clock, no I/O.
 */

#include "json/json.h"

#define PEER_VERSION 1 /* of the migration protocol */

enum peer_kind { PEER_TLS, PEER_UNIX };

struct peer {
	enum peer_kind kind;
	char *host; /* PEER_TLS: name or address */
	char *port; /* digits, 1 to 65535 */
	char *path; /* PEER_UNIX */
};

/** peer_parse() - Return: NULL, or ERR_INVALID with what would be right */
struct err *peer_parse(const char *text, struct peer *ret) MUST_USE;
void peer_done(struct peer *p);
static inline void own_peer_release(struct peer *p)
{
	peer_done(p);
}

/** peer_hello() - what a side says first; new reference */
json_t *peer_hello(void);

/**
 * peer_check_hello() - may we go on with whoever said this?
 * Return: NULL; ERR_UNSUPPORTED for another version, in one line for both sides; ERR_CORRUPT for
 *         what is no hello.
 */
struct err *peer_check_hello(const char *text, size_t len) MUST_USE;

#endif
