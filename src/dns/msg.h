/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_MSG_H
#define DNS_MSG_H

/*
 * DNS messages, as far as a server needs them that answers A and PTR and passes on the
 * rest as it came.  Foreign bytes: every read is checked against the length.
 *
 * Pure.
 * Spec: RFC 1035 §4 (messages), RFC 6891 §6 (EDNS), RFC 4343 (case)
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX  255 /* bytes of a name as text, NUL included */
#define DNS_REPLY_MIN 512 /* what every client takes */
#define DNS_REPLY_MAX 4096
#define DNS_QUERY_MAX 1024 /* a longer one is not answered */
#define DNS_FOUND_MAX 64

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_AAAA = 28, DNS_OPT = 41 };

enum dns_rcode { DNS_NOERROR, DNS_FORMERR, DNS_SERVFAIL, DNS_NXDOMAIN, DNS_NOTIMP, DNS_REFUSED };

struct dns_question {
	uint16_t id;
	uint16_t type, class;
	/* Lower case, without a dot at its end; bytes that no host name has are '?' */
	char name[DNS_NAME_MAX];
	size_t end;       /* offset of what follows the question */
	size_t reply_max; /* bytes that the client takes */
	bool has_edns;
};

enum dns_read {
	DNS_READ_OK,
	DNS_READ_DROP, /* no query: too short, or a reply */
	DNS_READ_BAD,  /* to be answered FORMERR; id is set */
	DNS_READ_ODD,  /* no standard query, to be answered NOTIMP; id is set */
};

/** dns_read_query() - the header and the one question of a query */
enum dns_read dns_read_query(const uint8_t *data, size_t len, struct dns_question *ret);

/** dns_is_reply() - does @reply answer @query (its id and question)? */
bool dns_is_reply(const uint8_t *reply, size_t len, const uint8_t *query,
		  const struct dns_question *q);

/** dns_reverse() - the address that "5.0.88.10.in-addr.arpa" asks for; false: it is no such name */
bool dns_reverse(const char *name, uint32_t *ret);

/* What is known about a name. */
struct dns_found {
	uint32_t v[DNS_FOUND_MAX]; /* addresses, for A */
	size_t n;
	char name[DNS_NAME_MAX]; /* for PTR; "": none */
};

/**
 * dns_write_reply() - a reply of our own
 * @query: the message that dns_read_query() read, @len bytes; for anything but DNS_READ_OK its
 *         question is not repeated (@q->end is 0)
 * @f:     answers of the question's type; NULL: none.  Those that do not fit are left out
 * @out:   @size bytes, at least DNS_REPLY_MIN
 * Return: its length.
 */
size_t dns_write_reply(const uint8_t *query, const struct dns_question *q, enum dns_rcode rcode,
		       const struct dns_found *f, uint8_t *out, size_t size);

#endif
