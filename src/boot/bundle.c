/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "boot/blob.h"
#include "boot/boot.h"
#include "boot/feature.h"
#include "boot/tree.h"
#include "boot/unpack.h"
#include "sys/path.h"
#include "tls/digest.h"
#include "util/fd.h"
#include "util/mem.h"

#define CONFIG_MAX (4 << 20)

/*
 * What our own boots leave out: the tests of the kernel's ciphers (half of all instructions up to
 * init), looking for an interrupt that a timer may miss on old boards, RCU's patience.
 */
#define APPEND "cryptomgr.notests no_timer_check rcupdate.rcu_expedited=1"

/* A bundle in the making: ROOT/tmp/kernel-PID/{deb,bundle}. */
struct making {
	char *tmp;     /* folder of the whole work */
	char *dir;     /* tmp/bundle */
	char *vmlinuz; /* source */
	char *modules; /* source; NULL: none, all is taken to be built in */
	char *config;  /* the kernel's configuration; NULL: not known */
	struct bzimage image;
	char sha256[DIGEST_CHARS];
	bool has_vmlinux;
	struct strv missing;
};

static void own_making_release(struct making *m)
{
	free(m->tmp);
	free(m->dir);
	free(m->vmlinuz);
	free(m->modules);
	free(m->config);
	strv_done(&m->missing);
}

static struct err *check_name(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	if (!n || n > 64 || !isalnum((unsigned char)name[0]))
		return err_new(ERR_INVALID, "\"%s\" is no name for a kernel", name ? name : "");
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("_.-", name[i]))
			return err_new(ERR_INVALID, "\"%s\" is no name for a kernel", name);
	return NULL;
}

/* ---- where the files come from ---- */

/* The first entry of @dir that begins with @prefix, as a whole path; NULL: none. */
static char *find_entry(const char *dir, const char *prefix)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	char *path = NULL;

	while (d && !path && (e = readdir(d)))
		if (e->d_name[0] != '.' && !strncmp(e->d_name, prefix, strlen(prefix)))
			path = xasprintf("%s/%s", dir, e->d_name);
	if (d)
		closedir(d);
	return path;
}

static struct err *from_deb(const char *deb, struct making *m)
{
	OWN(mem) char *root = xasprintf("%s/deb", m->tmp);
	OWN(mem) char *boot = xasprintf("%s/boot", root);
	OWN(mem) char *lib = xasprintf("%s/lib/modules", root);
	OWN(mem) char *usr = xasprintf("%s/usr/lib/modules", root);

	TRY(fd_mkdirs(root));
	TRY_MSG(unpack_deb(deb, root), "unpack %s", deb);
	m->vmlinuz = find_entry(boot, "vmlinuz-");
	m->config = find_entry(boot, "config-");
	m->modules = find_entry(lib, "");
	if (!m->modules)
		m->modules = find_entry(usr, "");
	if (!m->vmlinuz)
		return err_new(ERR_NOT_FOUND, "%s holds no kernel (boot/vmlinuz-*)%s", deb,
			       m->modules ? "" : "; a metapackage depends on the real one");
	return NULL;
}

static struct err *from_host(struct making *m)
{
	struct utsname u;

	uname(&u);
	m->vmlinuz = xasprintf("/boot/vmlinuz-%s", u.release);
	if (access(m->vmlinuz, R_OK) < 0)
		return err_new(
		    ERR_NOT_FOUND,
		    "the host's kernel %s has no file in /boot; give a .deb or a vmlinuz",
		    u.release);
	m->config = xasprintf("/boot/config-%s", u.release);
	m->modules = xasprintf("/lib/modules/%s", u.release);
	if (access(m->modules, R_OK) < 0)
		str_set(&m->modules, NULL);
	return NULL;
}

static struct err *is_deb(const char *path, bool *ret)
{
	OWN(blob) struct blob b = { 0 };

	TRY(blob_open(path, &b));
	*ret = b.len > 8 && !memcmp(b.p, "!<arch>\n", 8);
	return NULL;
}

static struct err *locate(const struct boot_source *s, struct making *m)
{
	bool deb = false;

	if (streq(s->source, "host"))
		return from_host(m);
	TRY(is_deb(s->source, &deb));
	if (deb)
		return from_deb(s->source, m);
	m->vmlinuz = xstrdup(s->source);
	m->modules = xstrdup(s->modules);
	return NULL;
}

/* ---- the kernel ---- */

static struct err *take_kernel(struct making *m)
{
	OWN(mem) char *vmlinuz = xasprintf("%s/vmlinuz", m->dir);
	OWN(mem) char *vmlinux = xasprintf("%s/vmlinux", m->dir);
	OWN(blob) struct blob k = { 0 };

	TRY(blob_open(m->vmlinuz, &k));
	TRY_MSG(bzimage_parse(k.p, k.len, &m->image), "%s", m->vmlinuz);
	TRY(fd_write_file(AT_FDCWD, vmlinuz, k.p, k.len, 0644));
	digest_of(k.p, k.len, m->sha256);

	/* Only faster: a kernel that cannot be had unpacked boots all the same. */
	struct err *e = unpack_kernel(k.p, &m->image, vmlinux);

	m->has_vmlinux = !e;
	err_free(e);
	return NULL;
}

/* ---- modules ---- */

/* A kernel whose configuration is not known is taken to insist on signatures. */
static bool insists_on_signatures(const struct making *m)
{
	OWN(mem) char *text = NULL;
	struct err *e = m->config ? fd_read_file(AT_FDCWD, m->config, CONFIG_MAX, &text)
				  : err_new(ERR_NOT_FOUND, "no configuration");
	bool known = !e;

	err_free(e);
	return !known || strstr(text, "\nCONFIG_MODULE_SIG_FORCE=y") ||
	       strstr(text, "\nCONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y") ||
	       strstr(text, "\nCONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY=y");
}

static struct err *add_feature(struct making *m, const struct module_source *s,
			       const struct feature *f, json_t *features)
{
	OWN(strv) struct strv order = { 0 };
	bool found = true;

	for (size_t i = 0; s && i < FEATURE_MODULES_MAX && f->modules[i] && found; i++)
		TRY(module_order(s, f->modules[i], &order, &found));
	if (found)
		json_object_set_new(features, f->name, jx_from_strv(&order));
	else if (f->is_required)
		return err_new(ERR_UNSUPPORTED, "kernel %s has no %s", m->image.version, f->name);
	else
		strv_add(&m->missing, f->name);
	return NULL;
}

static struct err *add_features(struct making *m, json_t *features)
{
	OWN(mem) char *unpacked = xasprintf("%s/modules", m->dir);
	OWN(tree) struct tree t = { 0 };
	const struct module_source s = tree_source(&t);

	TRY(fd_mkdirs(unpacked));
	if (m->modules)
		TRY_MSG(tree_read(m->modules, unpacked, &t), "modules %s", m->modules);
	t.keep_signatures = insists_on_signatures(m);
	for (size_t i = 0; i < boot_n_features; i++)
		TRY(add_feature(m, m->modules ? &s : NULL, &boot_features[i], features));
	return NULL;
}

/* ---- the whole ---- */

static struct err *describe(const struct making *m, const char *name, json_t *features,
			    json_t **ret)
{
	OWN(mem) char *path = xasprintf("%s/bundle.json", m->dir);
	OWN(json) json_t *j = json_object();

	json_object_set_new(j, "version", json_integer(BOOT_BUNDLE_VERSION));
	jx_set_str(j, "name", name);
	jx_set_str(j, "kernel", m->image.version);
	jx_set_str(j, "sha256", m->sha256 + strlen("sha256:"));
	jx_set_str(j, "vmlinuz", "vmlinuz");
	if (m->has_vmlinux)
		jx_set_str(j, "vmlinux", "vmlinux");
	jx_set_str(j, "append", APPEND);
	json_object_set(j, "features", features);
	json_object_set_new(j, "missing", jx_from_strv(&m->missing));
	TRY(jx_save(AT_FDCWD, path, j, 0644));
	*ret = TAKE(j);
	return NULL;
}

/* Change places with a bundle of the same name, which goes with the temporary folder then. */
static struct err *put_in_place(const struct making *m, const char *root, const char *name)
{
	OWN(mem) char *kernels = xasprintf("%s/kernels", root);
	OWN(mem) char *to = xasprintf("%s/%s", kernels, name);

	TRY(fd_mkdirs(kernels));
	if (!renameat2(AT_FDCWD, m->dir, AT_FDCWD, to, RENAME_EXCHANGE))
		return NULL;
	if (errno != ENOENT || rename(m->dir, to) < 0)
		return err_sys(errno, "rename %s to %s", m->dir, to);
	return NULL;
}

static struct err *make(struct making *m, const struct boot_source *s, json_t **ret)
{
	const char *name;
	OWN(json) json_t *features = json_object();
	OWN(json) json_t *bundle = NULL;

	TRY(fd_mkdirs(m->dir));
	TRY(locate(s, m));
	TRY(take_kernel(m));
	name = s->name ? s->name : m->image.version;
	TRY(check_name(name));
	TRY(add_features(m, features));
	TRY(describe(m, name, features, &bundle));
	TRY(put_in_place(m, s->root, name));
	*ret = TAKE(bundle);
	return NULL;
}

static void clean(const struct making *m, const struct boot_source *s)
{
	OWN(mem) char *tmp = xasprintf("%s/tmp", s->root);
	OWN(fd) int fd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		err_free(path_remove_tree(fd, strrchr(m->tmp, '/') + 1));
}

struct err *boot_kernel_add(const struct boot_source *s, json_t **ret)
{
	OWN(making) struct making m = { 0 };

	if (s->name)
		TRY(check_name(s->name));
	m.tmp = xasprintf("%s/tmp/kernel-%d", s->root, getpid());
	m.dir = xasprintf("%s/bundle", m.tmp);

	struct err *e = make(&m, s, ret);

	clean(&m, s);
	return e;
}
