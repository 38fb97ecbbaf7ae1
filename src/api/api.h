/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_API_H
#define API_API_H

/*
 * The face of hosteld: the Docker Engine API (1.24 to 1.50) and /hostel/v1/ on one
 * listening socket, answered from one engine.  It holds no state of its own but requests
 * under way; everything else is asked of the engine.
 *
 * Thread rule: everything on the loop's thread; no handler blocks.
 *
 * Wired by cmd/daemon:
 *
 *	TRY(sock_listen_unix(path, SOCK_STREAM, 0660, &fd));
 *	TRY(api_new(&(struct api_config) { .engine = e, .loop = l, .listen_fd = TAKE_FD(fd),
 *					   .socket_path = path, .config = shown }, &api));
 *	loop_run(l);
 *	api_free(api);
 *	engine_free(e);
 */

#include "engine/engine.h"
#include "json/json.h"
#include "loop/loop.h"
#include "util/err.h"

#define API_VERSION     "1.50"
#define API_VERSION_MIN "1.24"

struct api;

struct api_config {
	struct engine *engine;   /* borrowed; outlives the api */
	struct loop *loop;       /* borrowed; outlives the api */
	int listen_fd;           /* listening unix stream socket; consumed, on failure too */
	const char *socket_path; /* for display; borrowed */
	/*
	 * What `hostel config show` prints: array of {"name":…,"value":…,"source":"default" |
	 * "file" | "command line"}; borrowed, may be NULL.
	 */
	const json_t *config;
};

/**
 * api_new() - answer requests from now on
 * Return: NULL, or ERR_INTERNAL.
 */
struct err *api_new(const struct api_config *c, struct api **ret) MUST_USE;

/** api_free() - close the socket and every connection; requests under way are dropped */
void api_free(struct api *a);

DEFINE_OWN(api, api_free)

#endif
