/* SPDX-License-Identifier: Apache-2.0 */
/* The way back: what a daemon made on the host for all its instances. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "engine/engine_int.h"
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

static struct err *note_bridge(void *arg, const char *key, const json_t *doc)
{
	(void)key;
	if (*jx_str(doc, "bridge", ""))
		strv_add(arg, jx_str(doc, "bridge", ""));
	return NULL;
}

struct err *network_remove(struct store *s, const char *nft_table)
{
	OWN(mem) char *bridge = store_meta_get(s, "bridge");
	OWN(mem) char *table = store_meta_get(s, "nft_table");
	OWN(strv) struct strv bridges = { 0 };
	OWN(nft) struct nft *nft = NULL;

	if (bridge)
		strv_add(&bridges, bridge);
	TRY(store_each(s, STORE_NETWORK, note_bridge, &bridges));
	if (!bridges.n && !table)
		return NULL;
	TRY(nft_open(nft_table, &nft));
	TRY(nft_teardown(nft));
	for (size_t i = 0; i < bridges.n; i++)
		TRY(net_bridge_delete(bridges.v[i]));
	return NULL;
}

/* The store is open to one daemon only: while it can be opened, none is there to miss anything. */
static struct err *remove_by_store(const struct engine_config *c)
{
	OWN(mem) char *path = xasprintf("%s/hostel.db", c->root);
	OWN(store) struct store *s = NULL;

	if (access(path, F_OK) < 0)
		return NULL; /* no daemon ever ran with these settings */
	TRY_MSG(store_open(path, &s), "teardown, which wants no hosteld to run");
	return network_remove(s, c->nft_table);
}

struct err *engine_teardown(const struct engine_config *c)
{
	TRY(none_lives(c->run));
	TRY(remove_by_store(c));
	return cgroup_remove(c->cgroup_parent, REMOVE_MS);
}
