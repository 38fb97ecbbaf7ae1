/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Blobs that another host sent: each that is what its name says goes into the store, and, when a
 * manifest is named, its layers are unpacked.  Who received them is not trusted.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "image/commit.h"
#include "image/store.h"
#include "sys/path.h"
#include "util/fd.h"
#include "util/mem.h"
#include "worker/data.h"
#include "worker/unpack.h"

static bool is_blob_name(const char *name)
{
	return strlen(name) == DIGEST_HEX && strspn(name, "0123456789abcdef") == DIGEST_HEX;
}

/* A copy of our own, so that nobody can change it after it was looked at. */
static struct err *adopt_blob(struct job *j, int dir_fd, const char *name)
{
	OWN(mem) char *want = xasprintf("sha256:%s", name);
	OWN(mem) char *path = NULL;
	OWN(fd) int fd = path_open_beneath(dir_fd, name, O_RDONLY);
	char got[DIGEST_CHARS];
	int64_t bytes;

	if (fd < 0)
		return err_sys(errno, "%s", name);
	if (image_blob_exists(j->root, want, -1))
		return NULL;
	TRY(job_spool(j, source_fd(&fd), name, &path, got, &bytes));
	if (!streq(want, got)) { /* it came only in part, or worse */
		unlink(path);
		return NULL;
	}
	return image_commit_blob(j->root, path, want);
}

static struct err *adopt_blobs(struct job *j, const char *from)
{
	DIR *d = opendir(from);
	struct err *err = NULL;
	struct dirent *entry;

	if (!d)
		return errno == ENOENT ? NULL : err_sys(errno, "%s", from);
	while (!err && (entry = readdir(d)))
		if (is_blob_name(entry->d_name))
			err = adopt_blob(j, dirfd(d), entry->d_name);
	closedir(d);
	return err;
}

static struct err *unpack_layers(struct job *j, const struct oci_manifest *m,
				 const struct oci_config *c)
{
	char got[DIGEST_CHARS];

	if (m->n_layers != c->diff_ids.n)
		return err_new(ERR_CORRUPT, "the image has %zu layers and %zu diff ids",
			       m->n_layers, c->diff_ids.n);
	for (size_t n = 0; n < m->n_layers; n++) {
		OWN(mem) char *blob = image_blob_path(j->root, m->layers[n].digest);

		if (!image_layer_exists(j->root, c->diff_ids.v[n]))
			TRY(unpack_layer(j, blob, c->diff_ids.v[n], c->diff_ids.v[n], got));
	}
	return NULL;
}

struct err *job_adopt(struct job *j, json_t **ret_done)
{
	OWN(oci_manifest) struct oci_manifest m = { 0 };
	OWN(oci_config) struct oci_config c = { 0 };
	OWN(strv) struct strv refs = { 0 };
	const char *manifest = jx_str(j->args, "manifest", NULL), *from;

	TRY(job_arg(j, "from", &from));
	TRY(image_store_init(j->root));
	TRY(adopt_blobs(j, from));
	if (!manifest)
		return NULL;
	TRY(image_manifest_load(j->root, manifest, &m));
	TRY(image_config_load(j->root, m.config.digest, &c));
	TRY(job_check_platform(j, manifest, &c.platform));
	TRY(unpack_layers(j, &m, &c));
	jx_strv(j->args, "refs", &refs);
	return image_object(j->root, manifest, &refs, jx_str(j->args, "digest", NULL), ret_done);
}
