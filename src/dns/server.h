/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_SERVER_H
#define DNS_SERVER_H

/*
 * A name server on one address, UDP and TCP: it asks its owner about each name, answers
 * what is known, and passes the rest on to other servers.
 *
 * A query that is passed on has a socket of its own, with a port and an id that nobody can
 * guess; its reply goes back as it came.  Over UDP the next server is asked after two
 * seconds; over TCP each gets one try.  At most DNS_PENDING_MAX are under way, at most
 * DNS_CONNECTIONS_MAX clients are connected.
 *
 * Context: the loop's thread; nothing blocks.
 */

#include <sys/socket.h>

#include "dns/msg.h"
#include "loop/loop.h"
#include "util/err.h"

#define DNS_PENDING_MAX     256
#define DNS_CONNECTIONS_MAX 32
#define DNS_UPSTREAMS_MAX   3

struct dns_server;

enum dns_verdict {
	DNS_KNOWN,   /* answered with what was found, which may be nothing */
	DNS_NO_NAME, /* NXDOMAIN */
	DNS_FAIL,    /* SERVFAIL: nobody is to be asked */
	DNS_FORWARD, /* other servers may know */
};

struct dns_upstream {
	struct sockaddr_storage address;
	socklen_t len;
};

struct dns_owner {
	/* What about a question of a client (host byte order)? @ret is empty */
	enum dns_verdict (*look_up)(void *arg, uint32_t client, const struct dns_question *q,
				    struct dns_found *ret);
	/* The servers for what this client asks and nobody here knows; how many were set */
	size_t (*upstreams)(void *arg, uint32_t client, struct dns_upstream ret[DNS_UPSTREAMS_MAX]);
	void *arg;
};

struct dns_where {
	uint32_t address;   /* host byte order */
	int port;           /* 53; 0: any free one (tests) */
	const char *device; /* only what comes in here is heard; NULL: all */
};

/**
 * dns_server_new() - listen
 * Return: NULL; ERR_EXISTS when something else listens there; a system error.
 */
struct err *dns_server_new(struct loop *l, const struct dns_where *w, const struct dns_owner *owner,
			   struct dns_server **ret) MUST_USE;
void dns_server_free(struct dns_server *s);
DEFINE_OWN(dns_server, dns_server_free)

/** dns_server_port() - where it listens */
int dns_server_port(const struct dns_server *s);

/** dns_upstream_parse() - "10.0.0.1" or "fe80::1" and a port; false: it is no address */
bool dns_upstream_parse(const char *text, int port, struct dns_upstream *ret);

#endif
