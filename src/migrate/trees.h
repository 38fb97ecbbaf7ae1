/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MIGRATE_TREES_H
#define MIGRATE_TREES_H

/*
 * Trees on the link: {"tree":NAME}, the records of the tree, and {"sum":"sha256:…","bytes":n} of
 * those records.
 *
 * Context: hostel-migrate, jailed; blocks.
 */

#include "migrate/link.h"

struct tree_watch {
	/* bytes so far; an error ends the transfer */
	struct err *(*fn)(void *arg, int64_t bytes);
	void *arg;
};

/**
 * tree_send() - a folder or a file of the jail
 * @files: names in the folder, when only those are meant; NULL: all of it
 */
struct err *tree_send(struct link *l, int root_fd, const char *name, const json_t *files,
		      struct tree_watch watch, int64_t *ret_bytes) MUST_USE;

/**
 * tree_receive() - what follows {"tree":NAME}, into the folder @name, which is made
 * Return: NULL: it is whole, as it was sent, and on the disk; ERR_CORRUPT; ERR_LIMIT: disk full.
 */
struct err *tree_receive(struct link *l, int root_fd, const char *name, struct tree_watch watch,
			 int64_t *ret_bytes) MUST_USE;

#endif
