/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FILES_ASK_H
#define FILES_ASK_H

/*
 * Files of an instance whose root only its own kernel may mount: a worker on the host asks,
 * hostel-guest answers, by records (tar/stream.h) in both directions of one connection.
 *
 *	worker                                       hostel-guest
 *	TEXT {"op":"get","path":…,"name":…} ──>
 *	                                        <──  TEXT {"stat":…}                (get)
 *	                                        <──  ENTRY, DATA… END               (get, export)
 *	ENTRY, DATA… END                    ──>                                     (put)
 *	                                        <──  TEXT {"done":…} or
 *	                                             TEXT {"error":{"kind":enum err_kind,"text":…}}
 *	end                                 ──>
 *
 * The last TEXT may come at any time, and nothing after it; the guest ends when the worker's
 * end came, at whatever point.  Other members of the request: "mounts" (diff), "keep_kind"
 * (put).  The guest is not trusted.
 *
 * Context: both ends block.
 */

#include "files/files.h"

/* What the answering end knows of the root. */
struct files_server {
	int in, out;
	/* Make the instance's root ours. @with_upper: it will be written to */
	struct err *(*enter)(void *arg, bool with_upper, bool without_mounts);
	/* For diff; @ret_upper: -1 when there is none yet */
	struct err *(*layers)(void *arg, int *ret_lower, int *ret_upper);
	/* A put is through; NULL: nothing is to be done */
	void (*settle)(void *arg);
	void *arg;
};

/** files_serve() - answer one request; returns when the asking end went */
void files_serve(const struct files_server *s);

/* What the asking end does with what comes. */
struct files_client {
	int fd; /* both directions */
	const char *op;
	json_t *request;                             /* borrowed */
	struct source in;                            /* put: an archive, plain */
	int out;                                     /* get, export: an archive */
	void (*stat)(void *arg, const json_t *stat); /* get, before the data */
	void *arg;
	/* libarchive's ends, so that who answers does without */
	struct err *(*reader)(struct source in, struct tar_reader **ret);
	struct err *(*writer)(int fd, struct tar_writer **ret);
};

/**
 * files_ask() - ask, and carry the data
 * @ret: what the guest did, new reference
 * Return: NULL; the guest's error; ERR_UNAVAILABLE when the connection ended; ERR_CORRUPT for an
 *         answer that makes no sense.
 */
struct err *files_ask(const struct files_client *c, json_t **ret) MUST_USE;

/**
 * files_check_name() - may an archive of @base (what Go's filepath.Base() says of a path; "":
 * of the whole root) hold @name?
 * Return: NULL, or ERR_CORRUPT.
 */
struct err *files_check_name(const char *base, const char *name) MUST_USE;

#endif
