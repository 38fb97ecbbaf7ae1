/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A registry's folder of certificates, laid out as Docker has it: HOST:PORT/ with any number of
 * *.crt (authorities that are trusted beside the system's) and a pair NAME.cert, NAME.key (who
 * we are).
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "registry/registry_int.h"
#include "util/fd.h"
#include "util/mem.h"

#define SYSTEM_BUNDLE "/etc/ssl/certs/ca-certificates.crt"
#define FILE_MAX      (4u << 20)

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && streq(name + n - m, end);
}

static struct err *add_authority(const char *path, struct str *bundle)
{
	OWN(mem) char *text = NULL;

	TRY(fd_read_file(AT_FDCWD, path, FILE_MAX, &text));
	if (!strstr(text, "-----BEGIN CERTIFICATE-----"))
		return err_new(ERR_INVALID, "%s holds no certificate in PEM form", path);
	str_adds(bundle, text);
	str_adds(bundle, "\n");
	return NULL;
}

/* The other half of a pair must be there. */
static struct err *take_pair(struct registry *r, const char *folder, const char *name)
{
	size_t n = strlen(name) - strlen(".cert");
	OWN(mem) char *cert = xasprintf("%s/%s", folder, name);
	OWN(mem) char *key = xasprintf("%s/%.*s.key", folder, (int)n, name);

	if (access(key, R_OK) < 0)
		return err_new(ERR_INVALID,
			       "missing key %s for client certificate %s (authorities have the "
			       "extension .crt)",
			       key, cert);
	str_set(&r->client_cert, cert);
	str_set(&r->client_key, key);
	return NULL;
}

static struct err *check_key(const char *folder, const char *name)
{
	size_t n = strlen(name) - strlen(".key");
	OWN(mem) char *cert = xasprintf("%s/%.*s.cert", folder, (int)n, name);

	if (access(cert, R_OK) < 0)
		return err_new(ERR_INVALID, "missing client certificate %s for key %s/%s", cert,
			       folder, name);
	return NULL;
}

static struct err *take_file(struct registry *r, const char *folder, const char *name,
			     struct str *bundle)
{
	if (ends_with(name, ".crt")) {
		OWN(mem) char *path = xasprintf("%s/%s", folder, name);

		return add_authority(path, bundle);
	}
	if (ends_with(name, ".cert"))
		return take_pair(r, folder, name);
	return ends_with(name, ".key") ? check_key(folder, name) : NULL;
}

static void own_dir_release(DIR **slot)
{
	if (*slot)
		closedir(*slot);
}

static struct err *read_folder(struct registry *r, const char *folder, struct str *bundle,
			       bool *ret_found)
{
	OWN(dir) DIR *dir = opendir(folder);
	const struct dirent *d;

	*ret_found = dir != NULL;
	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? NULL : err_sys(errno, "%s", folder);
	while ((d = readdir(dir)))
		TRY(take_file(r, folder, d->d_name, bundle));
	return NULL;
}

/* One file for libcurl: the system's authorities first. */
static struct err *make_bundle(struct registry *r, const struct str *own)
{
	OWN(mem) char *system = NULL;
	OWN(fd) int fd = memfd_create("authorities", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(errno, "memfd");
	/* A host without any trusts only what it was given here. */
	err_free(fd_read_file(AT_FDCWD, SYSTEM_BUNDLE, FILE_MAX, &system));
	if (system)
		TRY(fd_write_all(fd, system, strlen(system)));
	TRY(fd_write_all(fd, own->buf, own->len));
	r->ca_file = xasprintf("/proc/self/fd/%d", fd);
	r->ca_fd = TAKE_FD(fd);
	return NULL;
}

struct err *registry_certs(struct registry *r, const struct strv *folders)
{
	OWN(str) struct str bundle = { 0 };
	bool found = false;

	for (size_t i = 0; folders && i < folders->n && !found; i++) {
		OWN(mem) char *folder = xasprintf("%s/%s", folders->v[i], r->domain);

		TRY(read_folder(r, folder, &bundle, &found));
	}
	r->certs_hint = folders && folders->n ? xasprintf("%s/%s", folders->v[0], r->domain) : NULL;
	return bundle.len && !r->ca_file ? make_bundle(r, &bundle) : NULL;
}
