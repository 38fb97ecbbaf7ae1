/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_ASK_H
#define DNS_ASK_H

/*
 * One question put to other servers, one after the other.  Internal to dns.
 */

#include "dns/server.h"

struct ask;

struct ask_what {
	const uint8_t *query; /* copied */
	size_t len;
	const struct dns_question *q; /* copied */
	const struct dns_upstream *servers;
	size_t n_servers;
	bool is_tcp;
};

/**
 * ask_new() - @fn is called once, never from in here, with the reply under the query's own id
 * (borrowed), or with NULL when nobody gave one; then the ask is to be freed
 */
struct ask *ask_new(struct loop *l, const struct ask_what *w,
		    void (*fn)(void *arg, const uint8_t *reply, size_t len), void *arg);
void ask_free(struct ask *a);

#endif
