/* SPDX-License-Identifier: Apache-2.0 */
/* Joining and leaving networks; of a running container, at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/engine_int.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

/* ---- the namespace of a running container ---- */

static bool is_own_process(const struct instance *i)
{
	OWN(mem) char *path = xasprintf("/proc/%d/cgroup", (int)i->pid);
	OWN(mem) char *text = NULL;
	OWN(err) struct err *err = fd_read_file(AT_FDCWD, path, 64 << 10, &text);

	return !err && strstr(text, i->id);
}

/* Its namespace by its process: looked at after it was opened, since a pid may be another's by now.
 */
static struct err *open_netns(const struct instance *i, int *ret)
{
	OWN(mem) char *path = xasprintf("/proc/%d/ns/net", (int)i->pid);
	OWN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat own, its;

	if (fd < 0)
		return err_sys(errno, "network namespace of %s", i->spec->name);
	if (!is_own_process(i) || fstat(fd, &its) < 0 || stat("/proc/self/ns/net", &own) < 0 ||
	    its.st_ino == own.st_ino)
		return err_new(ERR_STATE, "%s has just ended", i->spec->name);
	*ret = TAKE_FD(fd);
	return NULL;
}

static struct err *end_config(const struct network *n, const struct endpoint *end,
			      struct net_config *ret)
{
	struct net_config c = { .mtu = n->mtu };

	snprintf(c.ifname, sizeof(c.ifname), "eth%d", end->index);
	TRY(net_parse_address(end->address, &c.address.address));
	c.address.len = n->subnet.len;
	c.gateway = end->has_route ? n->subnet.address : 0;
	*ret = c;
	return NULL;
}

static struct err *plug(const struct instance *i, const struct network *n,
			const struct endpoint *end)
{
	struct net_link l = { .mtu = n->mtu,
			      .egress_bps = i->spec->net_egress_bps,
			      .ingress_bps = i->spec->net_ingress_bps };
	struct net_config c;
	OWN(fd) int netns = -1;
	struct err *err;

	TRY(end_config(n, end, &c));
	TRY(open_netns(i, &netns));
	snprintf(l.bridge, sizeof(l.bridge), "%s", n->bridge);
	snprintf(l.ifname, sizeof(l.ifname), "%s", c.ifname);
	net_ifname_at(i->id, (unsigned)end->index, l.host_ifname);
	TRY(net_parse_mac(end->mac, l.mac));
	TRY(net_veth_create_at(&l, netns));
	err = net_configure_at(&c, netns);
	if (err)
		err_free(net_link_delete(l.host_ifname));
	return err;
}

static void unplug(const struct instance *i, const struct endpoint *end)
{
	char ifname[IFNAMSIZ];

	net_ifname_at(i->id, (unsigned)end->index, ifname);
	err_free(net_link_delete(ifname));
}

/* The way out went with a network: another one takes over. */
static struct err *move_route(struct instance *i)
{
	for (size_t k = 0; k < i->n_ends; k++) {
		const struct network *n = network_by_id(i->e, i->ends[k].network);
		OWN(fd) int netns = -1;
		struct net_config c;

		if (!n || n->is_internal)
			continue;
		i->ends[k].has_route = true;
		TRY(end_config(n, &i->ends[k], &c));
		TRY(open_netns(i, &netns));
		return net_configure_at(&c, netns);
	}
	return NULL;
}

/* ---- what is allowed ---- */

static struct err *check_mode(const struct instance *i)
{
	const char *mode = i->spec->network_mode;

	if (spec_has_own_network(i->spec))
		return NULL;
	if (streq(mode, "host"))
		return err_new(ERR_DENIED, "container cannot be disconnected from host network or "
					   "connected to host network");
	if (streq(mode, "none"))
		return err_new(ERR_DENIED,
			       "container cannot be connected to multiple networks with one of the "
			       "networks in private (none) mode");
	return err_new(ERR_DENIED, "container sharing network namespace with another container or "
				   "host cannot be connected to any other network");
}

static struct err *check_moment(const struct instance *i)
{
	if (!instance_is_alive(i))
		return NULL;
	if (spec_is_vm(i->spec))
		return err_new(ERR_UNSUPPORTED,
			       "networks of a running VM cannot be changed yet; stop %s first",
			       i->spec->name);
	if (i->state != INST_RUNNING || !i->pid)
		return err_new(ERR_STATE, "%s is %s; try again", i->spec->name,
			       inst_state_name(i->state));
	return NULL;
}

static struct err *save(struct instance *i)
{
	i->spec_dirty = true;
	instance_touch(i);
	TRY(instance_save_spec(i));
	if (instance_is_alive(i))
		instance_save_run(i);
	return engine_commit(i->e);
}

/* ---- joining ---- */

static struct err *join_running(struct instance *i, struct network *n,
				const struct spec_endpoint *said)
{
	bool is_first = !i->n_ends;
	struct endpoint *end;
	struct err *err;

	TRY(network_ready(n));
	TRY(claim_end(i, said, n, &end));
	end->is_hot = true;
	err = plug(i, n, end);
	if (err) {
		claim_drop_end(i, end);
		return err;
	}
	if (is_first)
		TRY(claim_publish(i));
	return plan_rewrite_resolv(i);
}

static void copy_wishes(struct spec_endpoint *to, const struct spec_endpoint *from)
{
	strv_copy(&to->aliases, &from->aliases);
	str_set(&to->ip, from->ip);
	str_set(&to->mac, from->mac);
}

static struct err *check_wishes(const struct network *n, const struct spec_endpoint *said)
{
	uint8_t mac[NET_MAC_LEN];
	uint32_t address;

	if (said->mac && *said->mac)
		TRY(net_parse_mac(said->mac, mac));
	if (!said->ip || !*said->ip)
		return NULL;
	TRY(net_parse_address(said->ip, &address));
	if (n->subnet.len && !net_prefix_has(&n->subnet, address))
		return err_new(ERR_INVALID, "no configured subnet contains IP address %s",
			       said->ip);
	return NULL;
}

static struct err *join(struct instance *i, struct network *n, struct spec_endpoint *said)
{
	TRY(spec_check(i->spec));
	TRY(networks_check_aliases(i->spec));
	if (i->state == INST_RUNNING)
		TRY(join_running(i, n, said));
	return save(i);
}

struct err *engine_network_connect(struct engine *e, const char *ref, struct instance *i,
				   const struct spec_endpoint *how)
{
	struct network *n;
	struct spec_endpoint *said;
	struct err *err;

	TRY(network_find(e, ref, &n));
	TRY(check_mode(i));
	if (spec_endpoint_on(i->spec, n->id))
		return err_new(ERR_DENIED, "endpoint with name %s already exists in network %s",
			       i->spec->name, n->name);
	TRY(check_moment(i));
	TRY(check_wishes(n, how));
	said = spec_endpoint_add(i->spec, n->id);
	copy_wishes(said, how);
	err = join(i, n, said);
	if (err) {
		spec_endpoint_drop(i->spec, n->id);
		i->spec_dirty = true;
		instance_touch(i);
		return err;
	}
	network_event(n, "connect", i);
	return NULL;
}

/* ---- leaving ---- */

static struct err *leave_running(struct instance *i, struct endpoint *end)
{
	bool had_route = end->has_route, was_published = had_route || i->n_ends == 1;

	if (was_published)
		claim_unpublish(i);
	unplug(i, end);
	claim_drop_end(i, end);
	if (had_route)
		TRY(move_route(i));
	if (was_published && i->n_ends)
		TRY(claim_publish(i));
	return plan_rewrite_resolv(i);
}

struct err *engine_network_disconnect(struct engine *e, const char *ref, struct instance *i)
{
	struct network *n;
	struct endpoint *end;

	TRY(network_find(e, ref, &n));
	TRY(check_mode(i));
	if (!spec_endpoint_on(i->spec, n->id))
		return err_new(ERR_DENIED, "container %s is not connected to network %s",
			       i->spec->name, n->name);
	TRY(check_moment(i));
	end = instance_end_on(i, n->id);
	if (end) {
		OWN(err) struct err *err = leave_running(i, end);

		/* It is off the network; what is left to do is told, not undone. */
		if (err)
			log_warn("%.12s: %s", i->id, err_text(err));
	}
	spec_endpoint_drop(i->spec, n->id);
	TRY(save(i));
	network_event(n, "disconnect", i);
	return NULL;
}
