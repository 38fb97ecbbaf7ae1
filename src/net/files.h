/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_FILES_H
#define NET_FILES_H

/*
 * Text of the files that an instance finds in /etc: hosts, resolv.conf, hostname.
 * Pure.
 */

#include <stdint.h>

#include "util/err.h"
#include "util/str.h"

struct net_hosts {
	const char *hostname;        /* "web" */
	const char *domainname;      /* NULL or "": none */
	const char *address;         /* "10.88.0.5"; NULL: none (modes none, host) */
	const char *gateway;         /* what host-gateway in @extra stands for; NULL: refused */
	const struct strv *extra;    /* --add-host, "name:address" or "name=address"; may be NULL */
	const struct strmap *others; /* name -> address of other instances; may be NULL */
};

/**
 * net_hosts_text() - /etc/hosts
 * @ret: owned by the caller
 * Return: NULL, or ERR_INVALID for a bad extra line ("invalid IP address in add-host: \"x\"").
 */
struct err *net_hosts_text(const struct net_hosts *h, char **ret) MUST_USE;

struct net_resolv {
	const char *host;                          /* the host's resolv.conf */
	const struct strv *dns, *search, *options; /* --dns…; empty or NULL: the host's */
	bool keep_loopback; /* mode host: the host's own loopback servers can be reached */
};

/**
 * net_resolv_text() - /etc/resolv.conf
 * Name servers on loopback addresses are left out; when none is left, 8.8.8.8 and 8.8.4.4 are used
 * (as Docker does).  A search of "." means none.
 * Return: text owned by the caller.
 */
char *net_resolv_text(const struct net_resolv *r);

#endif
