/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NFT_NFT_INT_H
#define NFT_NFT_INT_H

#include <stdbool.h>

#include "nft/nft.h"
#include "util/str.h"

/** nft_ruleset_text() - the table's rules as one transaction; appended to @s.  Pure. */
void nft_ruleset_text(const char *table, struct str *s);

/**
 * nft_network_text() - the commands that add or delete a network's elements
 * @verb: "add" or "delete"
 * Return: NULL, or ERR_INVALID for a bad name or subnet.  Pure.
 */
struct err *nft_network_text(const char *table, const char *verb, const struct nft_network *net,
			     struct str *s) MUST_USE;

/* Where iptables (Docker, firewalls) keeps what decides over forwarded packets. */
#define FORWARD_CHAIN "ip filter FORWARD"

/** nft_forward_is_closed() - has a listed chain a policy of drop?  Pure. */
bool nft_forward_is_closed(const char *listing);

/**
 * nft_forward_text() - commands that take our rules out of that chain, and put them in anew for
 * each of @bridges
 * @table:   ours, by whose name the rules are known (in their comment)
 * @listing: of the chain, with handles
 * Pure.
 */
void nft_forward_text(const char *table, const struct strv *bridges, const char *listing,
		      struct str *s);

/**
 * nft_elements_text() - one command per port, "add element ip hostel ports { tcp . 8080 :
 * 10.88.0.5 . 80 }"
 * @verb: "add" or "delete"
 * Return: NULL, or ERR_INVALID for a bad protocol, port or address.  Pure.
 */
struct err *nft_elements_text(const char *table, const char *verb, const struct nft_port *ports,
			      size_t n, struct str *s) MUST_USE;

#endif
