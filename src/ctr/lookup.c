/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/mem.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Words of Go's syscall package, which clients look for. */
static const struct {
	int errnum;
	enum err_kind kind;
	const char *text;
} words[] = {
	{ ENOENT, ERR_NOT_FOUND, "no such file or directory" },
	{ ENOTDIR, ERR_NOT_FOUND, "not a directory" },
	{ EACCES, ERR_DENIED, "permission denied" },
	{ EPERM, ERR_DENIED, "operation not permitted" },
	{ EISDIR, ERR_DENIED, "is a directory" },
	{ ENOEXEC, ERR_INVALID, "exec format error" },
	{ E2BIG, ERR_INVALID, "argument list too long" },
	{ ELOOP, ERR_INVALID, "too many levels of symbolic links" },
	{ ETXTBSY, ERR_DENIED, "text file busy" },
};

static const char *word(int errnum, enum err_kind *ret_kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].errnum == errnum) {
			*ret_kind = words[i].kind;
			return words[i].text;
		}
	*ret_kind = ERR_INTERNAL;
	return strerrordesc_np(errnum);
}

/* 0, or the errno that executing @path would give. */
static int check(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? EACCES : 0;
}

static struct err *check_given(const char *path)
{
	enum err_kind kind;
	int errnum = check(path);
	const char *text = word(errnum, &kind);

	if (!errnum)
		return NULL;
	if (errnum == EACCES || errnum == EISDIR)
		return err_new(kind, "exec: \"%s\": %s", path, text);
	return err_new(kind, "exec: \"%s\": stat %s: %s", path, path, text);
}

struct err *ctr_find_program(const char *name, const char *path, char **ret)
{
	if (strchr(name, '/')) {
		TRY(check_given(name));
		*ret = xstrdup(name);
		return NULL;
	}
	if (!path)
		path = DEFAULT_PATH;
	while (*name) {
		size_t n = strcspn(path, ":");
		OWN(mem)
		char *file = n ? xasprintf("%.*s/%s", (int)n, path, name) : xasprintf("./%s", name);

		if (check(file) == 0) {
			*ret = TAKE(file);
			return NULL;
		}
		if (!path[n])
			break;
		path += n + 1;
	}
	return err_new(ERR_NOT_FOUND, "exec: \"%s\": executable file not found in $PATH", name);
}

struct err *ctr_exec_error(const char *path, int errnum)
{
	enum err_kind kind;
	const char *text = word(errnum, &kind);

	return err_new(kind, "exec %s: %s", path, text);
}
