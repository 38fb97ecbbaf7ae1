/* SPDX-License-Identifier: Apache-2.0 */
#include "image/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/store.h"
#include "oci/ref.h"
#include "sys/path.h"
#include "util/fd.h"
#include "util/mem.h"

struct err *image_store_init(const char *root)
{
	/* Layers hold setuid programs: only root gets at them from outside a container. */
	static const struct {
		const char *name, *private;
	} dirs[] = { { "blobs/sha256", "blobs" },
		     { "layers/sha256", "layers" },
		     { "images", NULL },
		     { "tmp", "tmp" } };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		OWN(mem) char *path = xasprintf("%s/%s", root, dirs[i].name);
		OWN(mem)
		char *top = xasprintf("%s/%s", root, dirs[i].private ? dirs[i].private : "");

		TRY(fd_mkdirs(path));
		if (dirs[i].private && chmod(top, 0700) < 0)
			return err_sys(errno, "chmod %s", top);
	}
	return NULL;
}

struct err *image_commit_blob(const char *root, const char *tmp, const char *digest)
{
	OWN(mem) char *path = image_blob_path(root, digest);
	OWN(fd) int fd = open(tmp, O_RDONLY | O_CLOEXEC);

	/* A power cut must not leave a blob that has its name but not its data. */
	if (fd < 0 || fdatasync(fd) < 0 || fchmod(fd, 0644) < 0 || rename(tmp, path) < 0)
		return err_sys(errno, "blob %s", digest);
	return NULL;
}

struct err *image_put_document(const char *root, const char *tmp_dir, const void *text, size_t len,
			       char ret_digest[DIGEST_CHARS])
{
	char digest[DIGEST_CHARS];
	OWN(mem) char *tmp = NULL;

	digest_of(text, len, digest);
	if (!image_blob_exists(root, digest, (int64_t)len)) {
		tmp = xasprintf("%s/document-%s", tmp_dir, oci_digest_hex(digest));
		TRY(fd_write_file(AT_FDCWD, tmp, text, len, 0644));
		TRY(image_commit_blob(root, tmp, digest));
	}
	memcpy(ret_digest, digest, DIGEST_CHARS);
	return NULL;
}

/* As for blobs. */
static struct err *sync_tree(const char *dir)
{
	OWN(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) < 0)
		return err_sys(errno, "sync %s", dir);
	return NULL;
}

struct err *image_commit_layer(const char *root, const char *tmp, const char *diff_id,
			       int64_t bytes)
{
	OWN(mem) char *note = xasprintf("%s/layer.json", tmp);
	OWN(mem) char *path = xasprintf("%s/layers/sha256/%s", root, oci_digest_hex(diff_id));
	OWN(json) json_t *j = json_object();

	json_object_set_new(j, "version", json_integer(1));
	jx_set_str(j, "diff_id", diff_id);
	json_object_set_new(j, "bytes", json_integer(bytes));
	TRY(jx_save(AT_FDCWD, note, j, 0644));
	TRY(sync_tree(tmp));
	if (rename(tmp, path) < 0) {
		if (errno != EEXIST && errno != ENOTEMPTY)
			return err_sys(errno, "layer %s", diff_id);
		return path_remove(tmp);
	}
	return NULL;
}
