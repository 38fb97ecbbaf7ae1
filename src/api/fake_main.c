/* SPDX-License-Identifier: Apache-2.0 */
/* api-fake SOCKET: the API on an engine that runs nothing; for tests/test_api.py. */
#include <stdio.h>
#include <sys/socket.h>

#include "api/api.h"
#include "sys/sock.h"
#include "util/log.h"

static struct err *serve(const char *path)
{
	struct engine_config config = { .root = "/nonexistent",
					.run = "/nonexistent",
					.libexec = "/nonexistent",
					.bridge = "hostel0",
					.subnet = "10.88.0.0/16" };
	OWN(loop) struct loop *loop = NULL;
	struct engine *engine;
	struct api *api;
	int fd = -1;

	TRY(loop_new(&loop));
	TRY(engine_new(&config, loop, &engine));
	TRY(sock_listen_unix(path, SOCK_STREAM, 0600, &fd));
	TRY(api_new(
	    &(struct api_config) {
		.engine = engine, .loop = loop, .listen_fd = fd, .socket_path = path },
	    &api));
	loop_run(loop);
	return NULL;
}

int main(int argc, char **argv)
{
	struct err *e;

	log_set("api-fake", LOG_WARN);
	if (argc != 2)
		return 2;
	e = serve(argv[1]);
	log_error("%s", err_text(e));
	return 1;
}
