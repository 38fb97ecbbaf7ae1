/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctr/lookup.h"
#include "ctr/mounts.h"
#include "sys/caps.h"
#include "util/fd.h"
#include "util/mem.h"

#define BPF_BYTES_MAX (BPF_MAXINSNS * sizeof(struct sock_filter))

/* ---- user ---- */

/* Numbers, as the OCI runtime has them. */
static struct err *user_from_numbers(const json_t *j, struct ctr_user *u)
{
	const json_t *list = json_object_get(j, "additionalGids");
	size_t n = json_array_size(list);

	*u = (struct ctr_user) {
		.uid = (uid_t)jx_int(j, "uid", 0),
		.gid = (gid_t)jx_int(j, "gid", 0),
		.groups = xcalloc(n + 1, sizeof(gid_t)),
		.n_groups = n,
		.home = xstrdup("/"),
	};
	for (size_t i = 0; i < n; i++)
		u->groups[i] = (gid_t)json_integer_value(json_array_get(list, i));
	return NULL;
}

static struct err *find_user(const struct ctr_process *p, struct ctr_user *u)
{
	OWN(fd) int root = -1;

	if (!p->user)
		return user_from_numbers(json_object_get(p->json, "user"), u);
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(errno, "open the new root");
	return ctr_user_resolve(root, p->user, p->groups, u);
}

/* ---- environment ---- */

static const char *env_get(const struct strv *env, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < env->n; i++)
		if (!strncmp(env->v[i], key, n) && env->v[i][n] == '=')
			return env->v[i] + n + 1;
	return NULL;
}

static void make_env(const struct ctr_process *p, const struct ctr_user *u, struct strv *env)
{
	jx_strv(p->json, "env", env);
	if (!env_get(env, "HOME"))
		strv_addf(env, "HOME=%s", u->home);
	if (!env->v)
		env->v = xcalloc(1, sizeof(char *));
}

/* ---- session and stdio ---- */

/* So that /dev/stdout can be opened by the user; a pipe of somebody else may refuse. */
static void give_stdio(const struct ctr_user *u)
{
	struct stat st, null;

	if (stat("/dev/null", &null) < 0)
		null.st_rdev = 0;
	for (int fd = 0; fd <= 2; fd++) {
		if (fstat(fd, &st) < 0 || (S_ISCHR(st.st_mode) && st.st_rdev == null.st_rdev))
			continue;
		if (st.st_uid != u->uid)
			(void)!fchown(fd, u->uid, (gid_t)-1);
	}
}

static struct err *place(int from, int to)
{
	OWN(fd) int null = -1;

	if (from < 0)
		from = null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (from < 0)
		return err_sys(errno, "open /dev/null of the instance");
	/* dup2() onto itself would leave CLOEXEC set. */
	if (from == to && fcntl(from, F_SETFD, 0) < 0)
		return err_sys(errno, "descriptor %d", to);
	if (from != to && dup2(from, to) < 0)
		return err_sys(errno, "descriptor %d", to);
	return NULL;
}

static struct err *set_stdio(const struct ctr_process *p, const struct ctr_user *u)
{
	bool tty = p->console >= 0;

	setsid();
	if (tty && ioctl(p->console, TIOCSCTTY, 0) < 0)
		return err_sys(errno, "take the terminal");
	TRY(place(tty ? p->console : p->in, 0));
	TRY(place(tty ? p->console : p->out, 1));
	TRY(place(tty ? p->console : p->err, 2));
	give_stdio(u);
	return NULL;
}

/* ---- working directory ---- */

static struct err *check_cwd(void)
{
	char path[PATH_MAX];

	/* A descriptor of the host, found by way of /proc, shows here (CVE-2024-21626). */
	if (syscall(SYS_getcwd, path, sizeof(path)) > 0 && path[0] != '/')
		return err_new(ERR_DENIED, "working directory lies outside of the instance");
	return NULL;
}

/* Returns 0 or the errno; the words are ours, see lookup.h. */
static struct err *set_cwd(const char *cwd, bool make, bool may_refuse, bool *ret_refused)
{
	*ret_refused = false;
	if (make && chdir(cwd) < 0 && errno == ENOENT)
		TRY_MSG(ctr_make_target(cwd, true), "make working directory");
	if (chdir(cwd) == 0)
		return check_cwd();
	if (errno == EACCES && may_refuse) {
		*ret_refused = true;
		return NULL;
	}
	if (errno == ENOTDIR)
		return err_new(ERR_INVALID, "working directory \"%s\" is no folder", cwd);
	if (errno == EACCES)
		return err_new(ERR_DENIED, "working directory \"%s\" is closed to the user", cwd);
	return err_sys(errno, "working directory \"%s\"", cwd);
}

/* ---- limits ---- */

static const struct {
	const char *name;
	int resource;
} rlimits[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};

static rlim_t rlim_of(const json_t *j, const char *key)
{
	int64_t v = jx_int(j, key, 0);

	return v < 0 || v == INT64_MAX ? RLIM_INFINITY : (rlim_t)v;
}

static struct err *set_rlimit(const json_t *j)
{
	struct rlimit r = { .rlim_cur = rlim_of(j, "soft"), .rlim_max = rlim_of(j, "hard") };
	const char *type = jx_str(j, "type", "");

	for (size_t i = 0; i < ARRAY_SIZE(rlimits); i++) {
		if (strcmp(rlimits[i].name, type) != 0)
			continue;
		if (prlimit(0, (enum __rlimit_resource)rlimits[i].resource, &r, NULL) < 0)
			return err_sys(errno, "set %s", type);
		return NULL;
	}
	return err_new(ERR_INVALID, "unknown rlimit %s", type);
}

static struct err *set_rlimits(const json_t *process)
{
	const json_t *list = json_object_get(process, "rlimits");

	for (size_t i = 0; i < json_array_size(list); i++)
		TRY(set_rlimit(json_array_get(list, i)));
	return NULL;
}

/* ---- identity ---- */

static uint64_t cap_set(const json_t *caps, const char *which)
{
	const json_t *list = json_object_get(caps, which);
	uint64_t set = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));
		int cap = name ? caps_parse(name) : -1;

		if (cap >= 0) /* one of a later kernel is none that we can give */
			set |= UINT64_C(1) << cap;
	}
	return set;
}

/* What the host does not have itself it cannot give. */
static struct caps wanted_caps(const json_t *process, uint64_t own)
{
	const json_t *caps = json_object_get(process, "capabilities");
	struct caps c = {
		.bounding = cap_set(caps, "bounding") & own,
		.effective = cap_set(caps, "effective") & own,
		.permitted = cap_set(caps, "permitted") & own,
		.inheritable = cap_set(caps, "inheritable") & own,
	};

	c.ambient = cap_set(caps, "ambient") & c.permitted & c.inheritable;
	c.effective &= c.permitted;
	return c;
}

static struct err *set_ids(const struct ctr_user *u)
{
	if (setgroups(u->n_groups, u->groups) < 0)
		return err_sys(errno, "set groups");
	if (setresgid(u->gid, u->gid, u->gid) < 0)
		return err_sys(errno, "become group %u", u->gid);
	if (setresuid(u->uid, u->uid, u->uid) < 0)
		return err_sys(errno, "become user %u", u->uid);
	return NULL;
}

static struct err *load_filter(const struct ctr_process *p)
{
	struct sock_fprog prog = {
		.len = (unsigned short)(p->bpf_len / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)(uintptr_t)p->bpf,
	};

	if (!p->bpf)
		return NULL;
	/* As Docker: no slowdown for speculation's sake. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog) <
	    0)
		return err_sys(errno, "load seccomp filter");
	return NULL;
}

static struct err *set_identity(const struct ctr_process *p, const struct ctr_user *u)
{
	uint64_t own = 0;

	TRY(caps_own(&own));
	struct caps c = wanted_caps(p->json, own);
	struct caps all = { .effective = own, .permitted = own };

	TRY(caps_drop_bounding(c.bounding));
	prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	TRY(set_ids(u));
	/* The filter needs CAP_SYS_ADMIN, which the change of user has made ineffective. */
	TRY(caps_apply(&all));
	if (jx_bool(p->json, "noNewPrivileges", false))
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	TRY(load_filter(p));
	return caps_apply(&c);
}

/* ---- all of it ---- */

struct err *ctr_process_exec(const struct ctr_process *p)
{
	OWN(ctr_user) struct ctr_user u = { 0 };
	OWN(strv) struct strv args = { 0 };
	OWN(strv) struct strv env = { 0 };
	OWN(mem) char *program = NULL;
	const char *cwd = jx_str(p->json, "cwd", "/");
	bool refused = false;

	jx_strv(p->json, "args", &args);
	if (!args.n || !args.v[0][0])
		return err_new(ERR_INVALID, "no command specified");
	TRY(find_user(p, &u));
	make_env(p, &u, &env);
	TRY(set_stdio(p, &u));
	TRY(set_cwd(cwd, p->make_cwd, true, &refused));
	TRY(set_rlimits(p->json));
	TRY(set_identity(p, &u));
	/* Where root itself may not go (a network file system), the user perhaps may. */
	if (refused)
		TRY(set_cwd(cwd, false, false, &refused));
	TRY(ctr_find_program(args.v[0], env_get(&env, "PATH"), &program));
	execve(program, args.v, env.v);
	return ctr_exec_error(program, errno);
}

struct err *ctr_read_bpf(const char *path, void **ret, size_t *ret_len)
{
	OWN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	OWN(mem) void *buf = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_new(ERR_NOT_FOUND, "seccomp filter %s cannot be read: %s", path,
			       strerrordesc_np(errno));
	if (st.st_size <= 0 || st.st_size % (off_t)sizeof(struct sock_filter))
		return err_new(ERR_CORRUPT, "seccomp filter %s has %ld bytes", path, st.st_size);
	TRY_MSG(try_alloc((size_t)st.st_size, BPF_BYTES_MAX, &buf), "seccomp filter %s", path);
	if (read(fd, buf, (size_t)st.st_size) != st.st_size)
		return err_sys(errno ? errno : EIO, "read %s", path);
	*ret = TAKE(buf);
	*ret_len = (size_t)st.st_size;
	return NULL;
}
