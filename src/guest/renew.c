/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/renew.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/boot.h"
#include "net/net.h"
#include "net/plan.h"
#include "util/fd.h"
#include "util/mem.h"

#define SEED_MAX   256
#define ID_DIGITS  32
#define MACHINE_ID "etc/machine-id"

void guest_renew_note(const json_t *doc, json_t **ret)
{
	const json_t *guest = json_object_get(doc, "guest");
	json_t *paths = json_array(), *file;
	size_t i;

	json_array_foreach(json_object_get(guest, "files"), i, file)
	{
		json_array_append_new(paths, jx_string(jx_str(file, "path", "")));
	}
	json_decref(*ret);
	*ret = json_pack("{s:O*,s:o}", "net", json_object_get(guest, "net"), "files", paths);
}

/* ---- entropy ---- */

struct seed {
	struct rand_pool_info head;
	uint8_t bytes[SEED_MAX];
};

static size_t from_hex(const char *hex, uint8_t *to, size_t max)
{
	size_t n = 0;
	unsigned byte;

	for (; n < max && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		to[n++] = (uint8_t)byte;
	return n;
}

/* Both the pool and what is drawn from it at once: two copies must not agree on a single number. */
static struct err *add_entropy(const char *hex)
{
	OWN(fd) int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
	struct seed s = { .head.buf_size = 0 };
	size_t n = from_hex(hex, s.bytes, sizeof(s.bytes));

	s.head.buf_size = (int)n;
	s.head.entropy_count = (int)n * 8;
	memcpy((char *)&s + sizeof(s.head), s.bytes, n);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &s) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		return err_sys(errno, "/dev/urandom");
	return NULL;
}

/* ---- files ---- */

/* In place: they are bound into the payload's root. */
static struct err *write_in_place(const char *path, const char *text)
{
	OWN(fd) int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_sys(errno, "open %s", path);
	return fd_write_all(fd, text, strlen(text));
}

static struct err *renew_file(const json_t *file, const json_t *paths)
{
	const char *path = jx_str(file, "path", "");

	for (size_t i = 0; i < json_array_size(paths); i++) {
		OWN(mem) char *ours = guest_file_path(i);

		if (streq(json_string_value(json_array_get(paths, i)), path))
			return write_in_place(ours, jx_str(file, "content", ""));
	}
	return NULL;
}

static struct err *renew_files(const json_t *guest, const json_t *before)
{
	const json_t *paths = json_object_get(before, "files");
	json_t *file;
	size_t i;

	json_array_foreach(json_object_get(guest, "files"), i, file)
	{
		TRY(renew_file(file, paths));
	}
	return NULL;
}

/* An image that has one had it made by systemd; whoever has none needs none. */
static struct err *renew_machine_id(pid_t payload)
{
	char path[64], id[ID_DIGITS + 2];
	uint8_t bytes[ID_DIGITS / 2];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/root/" MACHINE_ID, payload);
	if (!payload || lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < ID_DIGITS)
		return NULL;
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return err_sys(errno, "random numbers");
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(id + 2 * i, 3, "%02x", bytes[i]);
	snprintf(id + ID_DIGITS, 2, "\n");
	return write_in_place(path, id);
}

/* ---- network ---- */

static struct err *read_net(const json_t *net, struct net_config *ret)
{
	const char *mac = jx_str(net, "mac", NULL);

	TRY(net_config_from_plan(net, ret));
	if (!ret->ifname[0] || !mac)
		return NULL;
	ret->has_mac = true;
	return net_parse_mac(mac, ret->mac);
}

static struct err *renew_network(const json_t *guest, const json_t *before)
{
	const json_t *net = json_object_get(guest, "net"), *old = json_object_get(before, "net");
	struct net_config is, was;

	if (json_equal(net, old))
		return NULL;
	TRY(read_net(net, &is));
	TRY(read_net(old, &was));
	return net_reconfigure(&was, &is);
}

struct err *guest_renew(const json_t *doc, json_t **before, pid_t payload)
{
	const json_t *guest = json_object_get(doc, "guest");

	TRY_MSG(add_entropy(jx_str(doc, "seed", "")), "entropy");
	TRY_MSG(guest_set_names(doc), "names");
	TRY_MSG(renew_files(guest, *before), "files");
	if (jx_bool(doc, "new", false))
		TRY_MSG(renew_machine_id(payload), "machine-id");
	TRY_MSG(renew_network(guest, *before), "network");
	guest_renew_note(doc, before);
	return NULL;
}
