/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/root.h"
#include "model/plan.h"
#include "net/plan.h"
#include "util/fd.h"
#include "util/mem.h"

#define BPF_PATH    GUEST_STATE "/seccomp.bpf"
#define INIT_PATH   GUEST_STATE "/docker-init"
#define INIT_INSIDE "/sbin/docker-init"

/* Of a VM without an image: everything is allowed in it, it is walled off as a whole. */
static const char idle_oci[] =
    "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"" GUEST_IDLE "\"},"
    "\"process\":{\"args\":[\"/sbin/init\",\"pause\"],\"cwd\":\"/\",\"env\":[\"PATH=/bin:/sbin\"],"
    "\"capabilities\":{}},"
    "\"mounts\":["
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
    "\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":"
    "[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},"
    "{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\"}],"
    "\"linux\":{}}";

/* ---- the plan; pure ---- */

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct err *from_hex(const char *hex, struct str *ret)
{
	for (; hex[0]; hex += 2) {
		int high = digit(hex[0]), low = high < 0 ? -1 : digit(hex[1]);
		uint8_t byte = (uint8_t)(high << 4 | low);

		if (high < 0 || low < 0)
			return err_new(ERR_INVALID, "seccomp: not hex digits");
		str_add(ret, &byte, 1);
	}
	return NULL;
}

static json_t *object_of(json_t *parent, const char *key)
{
	json_t *j = json_object_get(parent, key);

	if (!json_is_object(j)) {
		j = json_object();
		json_object_set_new(parent, key, j);
	}
	return j;
}

/*
 * A process of the VM sees the VM's own network and host name; what is walled off is
 * its tree of processes, so that its end is the end of all, and its mounts.
 */
static void set_namespaces(json_t *oci)
{
	json_object_set_new(object_of(oci, "linux"), "namespaces",
			    json_pack("[{s:s},{s:s}]", "type", "pid", "type", "mount"));
}

char *guest_file_path(size_t i)
{
	return xasprintf(GUEST_STATE "/file-%zu", i);
}

static void bind_files(json_t *oci, const json_t *files)
{
	json_t *mounts = json_object_get(oci, "mounts"), *file;
	size_t i;

	if (!mounts) {
		mounts = json_array();
		json_object_set_new(oci, "mounts", mounts);
	}
	json_array_foreach(files, i, file)
	{
		OWN(mem) char *source = guest_file_path(i);

		json_array_append_new(mounts,
				      json_pack("{s:s,s:s,s:s,s:[s,s]}", "destination",
						jx_str(file, "path", "/"), "type", "bind", "source",
						source, "options", "bind", "rprivate"));
	}
}

/* hostel-guest is the --init too. */
static bool wants_init(const json_t *oci)
{
	const json_t *args = json_object_get(json_object_get(oci, "process"), "args");
	const char *first = json_string_value(json_array_get(args, 0));

	return first && !strcmp(first, INIT_INSIDE);
}

static void bind_init(json_t *oci)
{
	if (wants_init(oci))
		json_array_append_new(json_object_get(oci, "mounts"),
				      json_pack("{s:s,s:s,s:s,s:[s,s]}", "destination", INIT_INSIDE,
						"type", "bind", "source", INIT_PATH, "options",
						"bind", "ro"));
}

static json_t *rootfs_of(bool is_image)
{
	if (!is_image)
		return json_object();
	return json_pack("{s:[s],s:s,s:s}", "lower", GUEST_IMAGE, "upper", GUEST_DISK "/upper",
			 "work", GUEST_DISK "/work");
}

static struct err *oci_of(const json_t *guest, bool is_image, json_t **ret)
{
	json_t *oci;

	if (!is_image)
		return jx_parse(idle_oci, strlen(idle_oci), ret);
	oci = json_deep_copy(json_object_get(guest, "oci"));
	if (!json_is_object(oci)) {
		json_decref(oci);
		return err_new(ERR_INVALID, "start: no guest.oci");
	}
	jx_set_str(object_of(oci, "root"), "path", "/run/root");
	*ret = oci;
	return NULL;
}

struct err *guest_plan(const json_t *doc, json_t **ret, struct str *ret_bpf)
{
	json_t *from = json_object_get(doc, "guest"), *guest, *oci;
	bool is_image = jx_bool(doc, "image", false);
	OWN(str) struct str bpf = { 0 };

	TRY(from_hex(jx_str(doc, "seccomp", ""), &bpf));
	TRY(oci_of(from, is_image, &oci));
	set_namespaces(oci);
	bind_files(oci, json_object_get(from, "files"));
	bind_init(oci);
	guest = json_pack("{s:o,s:s,s:O*}", "oci", oci, "user", jx_str(from, "user", ""), "groups",
			  json_object_get(from, "groups"));
	if (bpf.len)
		jx_set_str(guest, "seccomp_bpf", BPF_PATH);
	*ret = json_pack("{s:i,s:s,s:s,s:{s:o,s:{s:s}},s:o}", "version", PLAN_VERSION, "id",
			 "payload", "kind", "container", "host", "rootfs", rootfs_of(is_image),
			 "net", "mode", "host", "guest", guest);
	*ret_bpf = bpf;
	bpf = (struct str) { 0 };
	return NULL;
}

/* ---- the machine ---- */

static struct err *set_network(const json_t *net)
{
	struct net_config c;

	TRY(net_config_from_plan(net, &c));
	return net_configure(&c);
}

struct err *guest_set_names(const json_t *doc)
{
	const json_t *oci = json_object_get(json_object_get(doc, "guest"), "oci");
	const char *host = jx_str(oci, "hostname", jx_str(doc, "name", NULL));
	const char *domain = jx_str(oci, "domainname", NULL);

	if (host && sethostname(host, strlen(host)) < 0)
		return err_sys(errno, "set host name %s", host);
	if (domain && setdomainname(domain, strlen(domain)) < 0)
		return err_sys(errno, "set domain name %s", domain);
	return NULL;
}

static struct err *write_files(const json_t *files)
{
	json_t *file;
	size_t i;

	json_array_foreach(files, i, file)
	{
		OWN(mem) char *path = guest_file_path(i);
		const char *content = jx_str(file, "content", "");
		mode_t mode = (mode_t)jx_int(file, "mode", 0644) & 07777;

		TRY(fd_write_file(AT_FDCWD, path, content, strlen(content), mode));
		if (chmod(path, mode) < 0)
			return err_sys(errno, "chmod %s", path);
	}
	return NULL;
}

struct err *guest_boot(const json_t *doc)
{
	const json_t *guest = json_object_get(doc, "guest");
	OWN(str) struct str bpf = { 0 };
	OWN(json) json_t *plan = NULL;

	TRY(guest_plan(doc, &plan, &bpf));
	TRY(fd_mkdirs(GUEST_STATE));
	if (jx_bool(doc, "image", false))
		TRY(guest_mount_image(jx_bool(doc, "readonly", false)));
	else
		TRY(guest_make_idle());
	TRY(write_files(json_object_get(guest, "files")));
	if (bpf.len)
		TRY(fd_write_file(AT_FDCWD, BPF_PATH, bpf.buf, bpf.len, 0600));
	if (wants_init(json_object_get(guest, "oci")))
		TRY(guest_copy_file("/proc/self/exe", INIT_PATH, 0755));
	TRY(guest_set_names(doc));
	TRY_MSG(set_network(json_object_get(guest, "net")), "network");
	return jx_save(AT_FDCWD, GUEST_STATE "/plan.json", plan, 0600);
}
