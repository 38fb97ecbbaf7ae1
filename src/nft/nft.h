/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NFT_NFT_H
#define NFT_NFT_H

/*
 * Nft: one static ruleset in a table of our own, with maps for the published
 * ports: a start adds elements, never rules.
 *
 *	table ip NAME
 *	  map ports      protocol . port            -> address . port   all host addresses
 *	  map addr_ports address . protocol . port  -> address . port   one host address
 *	  chain guard        prerouting, raw:  no packet from the bridge may name 127.0.0.0/8
 *	  chain prerouting   dstnat:           what comes to a local address, by the maps
 *	  chain output       dstnat:           the same for the host's own programs
 *	  chain postrouting  srcnat:           masquerade what leaves the subnet; hairpin; loopback
 *
 * Where a chain "ip filter FORWARD" (iptables, Docker) has a policy of drop, rules of ours are put
 * in front of it, known by their comment "hostel NAME": a drop there is final, whatever our
 * table says (docs/network.md).
 *
 * Lives in hosteld only.  Context: one thread; a call blocks for about a millisecond.
 */

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

/**
 * nft_setup() - make the table anew with its rules and @ports, as one transaction
 * @subnet: "10.88.0.0/16"
 * @bridge: "hostel0"
 * @ports:  all that is to be published now (recovery); whatever was published before is gone
 */
struct err *nft_setup(struct nft *n, const char *subnet, const char *bridge,
		      const struct nft_port *ports, size_t n_ports) MUST_USE;

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
