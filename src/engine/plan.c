/* SPDX-License-Identifier: Apache-2.0 */
/* instances/ID/plan.json (model/plan.h), and the small files that it names. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "model/plan.h"
#include "net/files.h"
#include "util/fd.h"
#include "util/mem.h"

/* All that is put together for one plan; texts live until plan_write() returns. */
struct draft {
	struct instance *i;
	char *cgroup, *rootfs, *hosts, *hostname_file, *resolv, *init;
	char *hosts_text, *hostname_text, *resolv_text;
	char *net_ns, *ipc_ns, *pid_ns;
	const char **sources;
	struct strv made_sources;
	struct strv texts; /* of host_facts */
};

static void own_draft_release(struct draft *d)
{
	free(d->cgroup);
	free(d->rootfs);
	free(d->hosts);
	free(d->hostname_file);
	free(d->resolv);
	free(d->init);
	free(d->hosts_text);
	free(d->hostname_text);
	free(d->resolv_text);
	free(d->net_ns);
	free(d->ipc_ns);
	free(d->pid_ns);
	free((void *)d->sources);
	strv_done(&d->made_sources);
	strv_done(&d->texts);
}

/* ---- modes container:NAME ---- */

static struct err *joined(struct instance *i, const char *mode, struct instance **ret)
{
	*ret = NULL;
	if (!mode || strncmp(mode, "container:", 10))
		return NULL;
	TRY(engine_find(i->e, mode + 10, ret));
	if ((*ret)->state != INST_RUNNING || !(*ret)->pid || spec_is_vm((*ret)->spec))
		return err_new(ERR_STATE, "cannot join namespaces of %s: it is not running",
			       (*ret)->spec->name);
	return NULL;
}

static struct err *join_ns(struct instance *i, const char *mode, const char *ns, char **ret)
{
	struct instance *other;

	TRY(joined(i, mode, &other));
	if (other)
		*ret = xasprintf("/proc/%d/ns/%s", (int)other->pid, ns);
	return NULL;
}

static struct err *join_all(struct draft *d)
{
	const struct spec *s = d->i->spec;

	TRY(join_ns(d->i, s->network_mode, "net", &d->net_ns));
	TRY(join_ns(d->i, s->ipc_mode, "ipc", &d->ipc_ns));
	return join_ns(d->i, s->pid_mode, "pid", &d->pid_ns);
}

/* ---- mount sources ---- */

static struct err *bind_source(const struct spec_mount *m)
{
	struct stat st;

	if (stat(m->source, &st) == 0)
		return NULL;
	if (m->create_source)
		return fd_mkdirs(m->source);
	/* The CLI reads "no such file or directory" as a missing command: other words. */
	return err_new(
	    ERR_INVALID,
	    "invalid mount config for type \"bind\": bind source path does not exist: %s",
	    m->source);
}

static struct err *find_sources(struct draft *d)
{
	const struct spec *s = d->i->spec;

	d->sources = xcalloc(s->n_mounts + 1, sizeof(*d->sources));
	for (size_t n = 0; n < s->n_mounts; n++) {
		const struct spec_mount *m = &s->mounts[n];

		if (m->type == MOUNT_BIND) {
			TRY(bind_source(m));
			d->sources[n] = m->source;
		} else if (m->type == MOUNT_VOLUME) {
			OWN(mem) char *path = volume_path(d->i->e, m->source);

			strv_add(&d->made_sources, path);
			d->sources[n] = d->made_sources.v[d->made_sources.n - 1];
		}
	}
	return NULL;
}

/* ---- /etc/hosts and its like ---- */

static const char *hostname_of(const struct instance *i, char buf[16])
{
	if (i->spec->hostname && *i->spec->hostname)
		return i->spec->hostname;
	snprintf(buf, 16, "%.12s", i->id);
	return buf;
}

/* --link NAME[:ALIAS]: a name in /etc/hosts; on users' networks the name server knows it. */
static void link_names(struct instance *i, struct strmap *out)
{
	for (size_t n = 0; n < i->spec->links.n; n++) {
		OWN(mem) char *name = xstrdup(i->spec->links.v[n]);
		char *colon = strchr(name, ':');
		struct instance *other = NULL;
		const struct endpoint *end;

		if (colon)
			*colon = '\0';
		err_free(engine_find(i->e, name, &other));
		end = other && instance_end_on(i, NETWORK_DEFAULT)
			  ? instance_end_on(other, NETWORK_DEFAULT)
			  : NULL;
		if (end)
			strmap_set(out, colon ? colon + 1 : name, end->address);
	}
}

/* The first user's network that it is on: its name server knows all of them. */
static const struct network *served_network(const struct instance *i)
{
	for (size_t k = 0; k < i->n_ends; k++) {
		const struct network *n = network_by_id(i->e, i->ends[k].network);

		if (n && !network_is_default(n))
			return n;
	}
	return NULL;
}

static char *resolv_text(const struct instance *i)
{
	const struct spec *s = i->spec;
	const struct network *served = served_network(i);
	OWN(strv) struct strv servers = { 0 }, options = { 0 };
	OWN(mem) char *host = NULL;

	err_free(fd_read_file(AT_FDCWD, "/etc/resolv.conf", 64 << 10, &host));
	strv_copy(&options, &s->dns_options);
	if (served) {
		strv_add(&servers, served->gateway);
		/* Names of instances come before search domains. */
		if (!options.n)
			strv_add(&options, "ndots:0");
	} else {
		strv_copy(&servers, &s->dns);
	}
	return net_resolv_text(&(struct net_resolv) {
	    .host = host ? host : "",
	    .dns = &servers,
	    .search = &s->dns_search,
	    .options = &options,
	    .keep_loopback = streq(s->network_mode, "host"),
	});
}

/* In place: it is a bind mount. */
struct err *plan_rewrite_resolv(struct instance *i)
{
	OWN(mem) char *path = xasprintf("%s/resolv.conf", i->state_dir);
	OWN(mem) char *text = resolv_text(i);
	OWN(fd) int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		return err_sys(errno, "%s", path);
	return fd_write_all(fd, text, strlen(text));
}

/* What host-gateway stands for: the host on the network that leads out, or on the default one. */
static const char *host_gateway(const struct instance *i)
{
	const struct network *n = network_default(i->e);

	for (size_t k = 0; k < i->n_ends; k++)
		if (i->ends[k].has_route && network_by_id(i->e, i->ends[k].network))
			n = network_by_id(i->e, i->ends[k].network);
	return n->is_ready ? n->gateway : NULL;
}

static struct err *make_texts(struct draft *d)
{
	struct instance *i = d->i;
	const struct spec *s = i->spec;
	struct strmap others = { 0 };
	char buf[16];
	struct err *err;

	d->resolv_text = resolv_text(i);
	d->hostname_text = xasprintf("%s\n", hostname_of(i, buf));
	link_names(i, &others);
	err = net_hosts_text(&(struct net_hosts) { .hostname = hostname_of(i, buf),
						   .domainname = s->domainname,
						   .address = i->n_ends ? i->ends[0].address : NULL,
						   .gateway = host_gateway(i),
						   .extra = &s->extra_hosts,
						   .others = &others },
			     &d->hosts_text);
	strmap_done(&others);
	return err;
}

/* Plain writes: who reads them is started afterwards. */
static struct err *write_file(struct instance *i, const char *name, const char *text,
			      char **ret_path)
{
	OWN(mem) char *path = xasprintf("%s/%s", i->state_dir, name);
	OWN(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_sys(errno, "%s", path);
	TRY_MSG(fd_write_all(fd, text, strlen(text)), "%s", path);
	*ret_path = TAKE(path);
	return NULL;
}

static struct err *write_texts(struct draft *d)
{
	TRY(make_texts(d));
	if (spec_is_vm(d->i->spec))
		return NULL; /* they travel in guest.files */
	TRY(write_file(d->i, "hosts", d->hosts_text, &d->hosts));
	TRY(write_file(d->i, "hostname", d->hostname_text, &d->hostname_file));
	return write_file(d->i, "resolv.conf", d->resolv_text, &d->resolv);
}

static json_t *guest_files(const struct draft *d)
{
	return json_pack("[{s:s, s:i, s:o}, {s:s, s:i, s:o}, {s:s, s:i, s:o}]", "path",
			 "/etc/hosts", "mode", 0644, "content", jx_string(d->hosts_text), "path",
			 "/etc/hostname", "mode", 0644, "content", jx_string(d->hostname_text),
			 "path", "/etc/resolv.conf", "mode", 0644, "content",
			 jx_string(d->resolv_text));
}

/* ---- members of the plan ---- */

static json_t *plan_lower(struct engine *e, const struct image *im)
{
	OWN(strv) struct strv layers = { 0 };
	json_t *a = json_array();

	image_layers(im, &layers);
	for (size_t n = layers.n; n-- > 0;) { /* topmost first */
		OWN(mem) char *path = engine_path(e, "layers/sha256/%s/fs", layers.v[n]);

		json_array_append_new(a, json_string(path));
	}
	return a;
}

#define IMAGE_VM_DISK (INT64_C(10) << 30)

/* What spares a VM's start and end some waits for the host's disk. */
static void plan_vm_disk(const struct instance *i, json_t *j)
{
	OWN(mem) char *path = engine_path(i->e, "images/empty.ext4");

	if (!i->spec->disk_bytes)
		json_object_set_new(j, "disk_template", json_string(path));
	json_object_set_new(j, "transient", json_boolean(i->spec->auto_remove));
}

/* Where writes go, and what holds them back: nothing, a project quota, or a disk of its own. */
static struct err *plan_upper(const struct instance *i, json_t *j)
{
	bool is_vm = i->spec->kind == SPEC_IMAGE_VM;
	int64_t bytes = i->spec->disk_bytes ? i->spec->disk_bytes : is_vm ? IMAGE_VM_DISK : 0;
	uint32_t project = quota_project(i);

	if (bytes)
		json_object_set_new(j, "disk_bytes", json_integer(bytes));
	if (bytes && !project) {
		json_object_set_new(j, "disk", json_sprintf("%s/rw.img", i->state_dir));
		if (is_vm)
			plan_vm_disk(i, j);
		return NULL;
	}
	json_object_set_new(j, "upper", json_sprintf("%s/rw/upper", i->state_dir));
	json_object_set_new(j, "work", json_sprintf("%s/rw/work", i->state_dir));
	if (!project)
		return NULL;
	json_object_set_new(j, "project", json_integer(project));
	return quota_renew(i, project);
}

struct err *plan_rootfs(struct instance *i, json_t **ret)
{
	struct image *im = i->spec->image_id ? image_by_id(i->e, i->spec->image_id) : NULL;
	OWN(json) json_t *j = json_object();

	if (!im)
		return err_new(ERR_NOT_FOUND, "No such image: %s", i->spec->image_id);
	json_object_set_new(j, "lower", plan_lower(i->e, im));
	TRY(plan_upper(i, j));
	if (i->spec->kind == SPEC_IMAGE_VM) {
		OWN(mem) char *erofs = engine_path(i->e, "images/%s.erofs", im->id + 7);

		json_object_set_new(j, "erofs", json_string(erofs));
	}
	json_object_set_new(j, "readonly", json_boolean(i->spec->readonly_rootfs));
	*ret = json_incref(j);
	return NULL;
}

static json_t *plan_end(const struct instance *i, const struct endpoint *end, bool is_guest)
{
	const struct network *n = network_by_id(i->e, end->network);
	char host_ifname[IFNAMSIZ];
	json_t *j = json_object();

	json_object_set_new(j, "mode", json_string("bridge"));
	json_object_set_new(j, "ifname", json_sprintf("eth%d", end->index));
	json_object_set_new(j, "mac", json_string(end->mac));
	json_object_set_new(j, "address", json_sprintf("%s/%d", end->address, n->subnet.len));
	if (end->has_route)
		json_object_set_new(j, "gateway", json_string(n->gateway));
	json_object_set_new(j, "mtu", json_integer(n->mtu ? n->mtu : 1500));
	if (is_guest)
		return j;
	net_ifname_at(i->id, (unsigned)end->index, host_ifname);
	json_object_set_new(j, "bridge", json_string(n->bridge));
	json_object_set_new(j, "host_ifname", json_string(host_ifname));
	json_object_set_new(j, "egress_bps", json_integer(i->spec->net_egress_bps));
	json_object_set_new(j, "ingress_bps", json_integer(i->spec->net_ingress_bps));
	return j;
}

static json_t *plan_net(const struct draft *d, bool is_guest)
{
	struct instance *i = d->i;
	json_t *j, *more;

	if (!spec_has_own_network(i->spec)) {
		bool joins = d->net_ns != NULL;

		j = json_object();
		json_object_set_new(j, "mode",
				    json_string(joins ? "container" : i->spec->network_mode));
		if (joins)
			json_object_set_new(j, "join", json_string(d->net_ns));
		return j;
	}
	if (!i->n_ends)
		return json_pack("{s:s}", "mode", "none");
	j = plan_end(i, &i->ends[0], is_guest);
	if (i->n_ends == 1)
		return j;
	more = json_array();
	for (size_t k = 1; k < i->n_ends; k++)
		json_array_append_new(more, plan_end(i, &i->ends[k], is_guest));
	json_object_set_new(j, "more", more);
	return j;
}

static struct err *plan_host(struct draft *d, json_t **ret)
{
	struct instance *i = d->i;
	const struct host_planner *planner = planner_of(i->e, i->spec)->host;
	struct host_facts facts = { .state_dir = i->state_dir };
	OWN(json) json_t *host = json_object();
	json_t *part;

	json_object_set_new(host, "cgroup", json_string(d->cgroup));
	if (i->spec->image_id) {
		TRY(plan_rootfs(i, &part));
		json_object_set_new(host, "rootfs", part);
	}
	json_object_set_new(host, "net", plan_net(d, false));
	TRY(vm_facts(i, &facts, &d->texts));
	TRY(planner->resources(i->spec, &facts, &part));
	json_object_set_new(host, "resources", part);
	if (planner->machine) {
		TRY(planner->machine(i->spec, &facts, &part));
		i->vcpus = (int)jx_int(part, "vcpus", 0);
		json_object_set_new(host, "vm", part);
	}
	*ret = json_incref(host);
	return NULL;
}

static struct guest_facts plan_in(const struct draft *d, char buf[16])
{
	return (struct guest_facts) {
		.id = d->i->id,
		.hostname = hostname_of(d->i, buf),
		.cgroup = d->cgroup,
		.rootfs = d->rootfs,
		.hosts = d->hosts,
		.hostname_file = d->hostname_file,
		.resolv = d->resolv,
		.init = d->init,
		.mount_sources = d->sources,
		.net_ns = d->net_ns,
		.ipc_ns = d->ipc_ns,
		.pid_ns = d->pid_ns,
	};
}

static struct err *plan_guest(struct draft *d, json_t **ret)
{
	struct instance *i = d->i;
	OWN(json) json_t *guest = json_object();
	OWN(mem) char *bpf = prep_seccomp_path(i);
	char buf[16];
	struct guest_facts in = plan_in(d, buf);
	json_t *oci;

	if (i->spec->kind != SPEC_MACHINE || !i->spec->n_disks) {
		if (i->spec->kind != SPEC_MACHINE) {
			TRY(planner_of(i->e, i->spec)->guest->oci(i->spec, &in, &oci));
			json_object_set_new(guest, "oci", oci);
		}
		json_object_set_new(guest, "user", json_string(i->spec->user ? i->spec->user : ""));
		json_object_set_new(guest, "groups", jx_from_strv(&i->spec->group_add));
		if (bpf)
			json_object_set_new(guest, "seccomp_bpf", json_string(bpf));
	}
	if (spec_is_vm(i->spec)) {
		json_object_set_new(guest, "files", guest_files(d));
		json_object_set_new(guest, "net", plan_net(d, true));
	}
	*ret = json_incref(guest);
	return NULL;
}

static void draft_init(struct draft *d, struct instance *i)
{
	*d = (struct draft) { .i = i };
	d->cgroup = instance_cgroup(i);
	d->rootfs = xasprintf("%s/rootfs", i->state_dir);
	d->init = xasprintf("%s/hostel-init", i->e->c.libexec);
}

struct err *plan_write(struct instance *i)
{
	OWN(draft) struct draft d = { 0 };
	OWN(json) json_t *plan = json_object();
	OWN(mem) char *path = xasprintf("%s/plan.json", i->state_dir);
	OWN(mem) char *text = NULL;
	json_t *part;

	i->is_updated = false;
	draft_init(&d, i);
	TRY(join_all(&d));
	TRY(find_sources(&d));
	TRY(write_texts(&d));
	json_object_set_new(plan, "version", json_integer(PLAN_VERSION));
	json_object_set_new(plan, "id", json_string(i->id));
	json_object_set_new(plan, "name", json_string(i->spec->name));
	json_object_set_new(plan, "kind", json_string(instance_kind(i)));
	json_object_set_new(plan, "state_dir", json_string(i->state_dir));
	json_object_set_new(plan, "run_dir", json_string(i->run_dir));
	json_object_set_new(plan, "run", instance_run_json(i));
	TRY(plan_host(&d, &part));
	json_object_set_new(plan, "host", part);
	TRY(plan_guest(&d, &part));
	json_object_set_new(plan, "guest", part);
	text = jx_text(plan);
	return fd_write_file(AT_FDCWD, path, text, strlen(text), 0600);
}
