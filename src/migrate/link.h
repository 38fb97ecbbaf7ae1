/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MIGRATE_LINK_H
#define MIGRATE_LINK_H

/*
 * The one connection of a migration: TLS, or a unix socket of this machine between roots; bytes
 * in and out, and no faster than allowed.  On it go records of tar/stream.h: TEXT is JSON.
 *
 * Context: hostel-migrate; blocks.
 */

#include "json/json.h"
#include "model/peer.h"
#include "tar/stream.h"
#include "tls/session.h"

struct link {
	int fd; /* owned */
	struct tls_session *tls;
	int64_t rate;     /* bytes per second out; 0: as fast as it goes */
	int64_t paced_ns; /* when what was sent so far is due at this rate; boot clock */
};

/** link_connect() - to another host's door; a few seconds at most
 *  Return: NULL; ERR_UNAVAILABLE when nobody answers, ERR_DENIED when it is not root's. */
struct err *link_connect(struct link *l, const struct peer *to) MUST_USE;

/** link_accepted() - take over a connected descriptor (consumed)
 *  @is_local: a unix socket: ERR_DENIED unless root is at the other end */
struct err *link_accepted(struct link *l, int fd, bool is_local) MUST_USE;

void link_done(struct link *l);
static inline void own_link_release(struct link *l)
{
	link_done(l);
}

/** link_source(), link_sink() - its bytes; @l must outlive them */
struct source link_source(struct link *l);
struct tar_sink link_sink(struct link *l);

/** link_has_input() - would a read return at once? */
bool link_has_input(const struct link *l);

/** link_say() - a TEXT record; @j is borrowed */
struct err *link_say(struct link *l, const json_t *j) MUST_USE;

/** link_hear() - the next record, which must be TEXT; ERR_UNAVAILABLE when the other side hung up
 */
struct err *link_hear(struct link *l, struct str *ret_text) MUST_USE;

#endif
