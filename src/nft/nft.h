/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NFT_NFT_H
#define NFT_NFT_H

/*
 * Nft: one static ruleset in a table of our own, with maps of the published
 * ports and sets of the networks: a start adds elements, never rules.
 *
 *	table ip NAME
 *	  map ports      protocol . port            -> address . port   all host addresses
 *	  map addr_ports address . protocol . port  -> address . port   one host address
 *	  set bridges    of our networks            set internal   those with no way in or out
 *	  set within     bridge . the same bridge   set subnets    bridge . its addresses
 *	  set outward    addresses that the host's stand for outside
 *	  chain guard        prerouting, raw:  no packet from a bridge may name 127.0.0.0/8
 *	  chain prerouting   dstnat:           what comes to a local address, by the maps
 *	  chain output       dstnat:           the same for the host's own programs
 *	  chain forward      filter:           nothing from one network to another but what was
 *	                                       published; nothing into or out of an internal one
 *	  chain postrouting  srcnat:           masquerade what leaves a network; hairpin; loopback
 *
 * Where a chain "ip filter FORWARD" (iptables, Docker) has a policy of drop, rules of ours are put
 * in front of it, known by their comment "hostel NAME": a drop there is final, whatever our
 * table says (docs/network.md).
 *
 * Lives in hosteld only.  Context: one thread; a call blocks for about a millisecond.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct nft;

struct nft_port {
	const char *proto;        /* "tcp" or "udp" */
	const char *host_address; /* "127.0.0.1"; NULL, "" or "0.0.0.0": all of the host's */
	int host_port;
	const char *address; /* of the instance, "10.88.0.5" */
	int port;
};

/**
 * nft_open() - @table: name of the table of our own, [a-zA-Z][a-zA-Z0-9_]*
 * Return: NULL, ERR_INVALID for the name, ERR_UNSUPPORTED without nf_tables.
 */
struct err *nft_open(const char *table, struct nft **ret) MUST_USE;
void nft_close(struct nft *n);
DEFINE_OWN(nft, nft_close)

struct nft_network {
	const char *bridge; /* "hostel0" */
	const char *subnet; /* "10.88.0.0/16" */
	bool is_internal;   /* no way in or out but to the host itself */
	bool keeps_source;  /* no masquerade: others route to it */
};

/**
 * nft_setup() - make the table anew with its rules, @networks and @ports, as one transaction
 * @networks: all that exist now; further ones come by nft_network_add()
 * @ports:    all that is to be published now (recovery); whatever was published before is gone
 */
struct err *nft_setup(struct nft *n, const struct nft_network *networks, size_t n_networks,
		      const struct nft_port *ports, size_t n_ports) MUST_USE;

/** nft_network_add() - after nft_setup(); idempotent */
struct err *nft_network_add(struct nft *n, const struct nft_network *net) MUST_USE;

/** nft_network_remove() - the same as it was added; absent is fine */
struct err *nft_network_remove(struct nft *n, const struct nft_network *net) MUST_USE;

/** nft_publish() - add elements, all or none; idempotent; a port held by another address is
 *  ERR_EXISTS */
struct err *nft_publish(struct nft *n, const struct nft_port *ports, size_t n_ports) MUST_USE;

/**
 * nft_unpublish() - remove elements; absent ones are fine
 * Connections made through them end: their conntrack entries are not touched, but the instance
 * is gone.
 */
struct err *nft_unpublish(struct nft *n, const struct nft_port *ports, size_t n_ports) MUST_USE;

/** nft_teardown() - remove the table */
struct err *nft_teardown(struct nft *n) MUST_USE;

#endif
