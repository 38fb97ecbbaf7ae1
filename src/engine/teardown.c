/* SPDX-License-Identifier: Apache-2.0 */
/* The way back: what a daemon made on the host for all its instances. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "engine/engine.h"
#include "net/net.h"
#include "nft/nft.h"
#include "sys/cgroup.h"
#include "util/fd.h"
#include "util/mem.h"

#define REMOVE_MS 1000

static bool is_alive(const char *instances, const char *id)
{
	OWN(mem) char *path = xasprintf("%s/%s/lock", instances, id);
	OWN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static struct err *none_lives(const char *run)
{
	OWN(mem) char *instances = xasprintf("%s/instances", run);
	DIR *d = opendir(instances);
	const struct dirent *entry;
	struct err *e = NULL;

	while (d && !e && (entry = readdir(d)))
		if (entry->d_name[0] != '.' && is_alive(instances, entry->d_name))
			e = err_new(ERR_STATE,
				    "instance %.12s runs; stop what runs before a teardown",
				    entry->d_name);
	if (d)
		closedir(d);
	return e;
}

struct err *engine_teardown(const struct engine_config *c)
{
	OWN(nft) struct nft *nft = NULL;

	TRY(none_lives(c->run));
	TRY(nft_open(c->nft_table, &nft));
	TRY(nft_teardown(nft));
	TRY(net_bridge_delete(c->bridge));
	return cgroup_remove(c->cgroup_parent, REMOVE_MS);
}
