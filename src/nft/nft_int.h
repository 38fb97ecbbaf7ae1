/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NFT_NFT_INT_H
#define NFT_NFT_INT_H

#include "nft/nft.h"
#include "util/str.h"

/** nft_ruleset_text() - the table's rules as one transaction; appended to @s.  Pure. */
void nft_ruleset_text(const char *table, const char *subnet, const char *bridge, struct str *s);

/**
 * nft_elements_text() - one command per port, "add element ip hostel ports { tcp . 8080 :
 * 10.88.0.5 . 80 }"
 * @verb: "add" or "delete"
 * Return: NULL, or ERR_INVALID for a bad protocol, port or address.  Pure.
 */
struct err *nft_elements_text(const char *table, const char *verb, const struct nft_port *ports,
			      size_t n, struct str *s) MUST_USE;

#endif
