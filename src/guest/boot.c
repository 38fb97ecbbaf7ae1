/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/root.h"
#include "net/plan.h"
#include "util/fd.h"
#include "util/mem.h"

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

static struct err *set_network(const json_t *net)
{
	struct net_config c;

	TRY(net_config_from_plan(net, &c));
	return net_configure(&c);
}

static struct err *set_hostname(const char *name)
{
	if (name && sethostname(name, strlen(name)) < 0)
		return err_sys(errno, "set host name %s", name);
	return NULL;
}

struct err *guest_boot(json_t *doc, struct guest_boot **ret)
{
	const json_t *guest = json_object_get(doc, "guest");
	struct guest_boot *b = xnew(struct guest_boot);

	*ret = b;
	b->doc = json_incref(doc);
	TRY(from_hex(jx_str(doc, "seccomp", ""), &b->bpf));
	if (jx_bool(doc, "image", false)) {
		TRY(guest_mount_root(jx_bool(doc, "readonly", false)));
		TRY(guest_write_files(json_object_get(guest, "files")));
	}
	TRY(set_hostname(jx_str(json_object_get(guest, "oci"), "hostname", NULL)));
	TRY_MSG(set_network(json_object_get(guest, "net")), "network");
	return NULL;
}

const json_t *guest_boot_config(const struct guest_boot *b)
{
	return b ? json_object_get(b->doc, "guest") : NULL;
}

int64_t guest_oom_kills(void)
{
	OWN(mem) char *text = NULL;
	OWN(err) struct err *e = fd_read_file(AT_FDCWD, "/proc/vmstat", 64 * 1024, &text);
	const char *at = e ? NULL : strstr(text, "\noom_kill ");

	return at ? strtoll(at + strlen("\noom_kill "), NULL, 10) : 0;
}
