/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/starter.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/resources.h"
#include "json/json.h"
#include "net/net.h"
#include "net/plan.h"
#include "qemu/argv.h"
#include "qemu/disk.h"
#include "qemu/plan.h"
#include "qemu/preload.h"
#include "qemu/saved.h"
#include "sys/cgroup.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define KILL_TIMEOUT_MS   800
#define REMOVE_TIMEOUT_MS 200
#define BPF_MAX           (64 * 1024)
#define SEED_BYTES        64

static struct err *load_plan(const char *state_dir, json_t **ret)
{
	OWN(mem) char *path = xasprintf("%s/plan.json", state_dir);

	TRY(jx_load(AT_FDCWD, path, ret));
	if (jx_int(*ret, "version", 0) != 1)
		return err_new(ERR_UNSUPPORTED, "plan of version %lld",
			       (long long)jx_int(*ret, "version", 0));
	return NULL;
}

static const json_t *host_of(const json_t *plan)
{
	return json_object_get(plan, "host");
}

static bool has_image(const json_t *plan)
{
	return jx_str(json_object_get(host_of(plan), "rootfs"), "erofs", NULL);
}

/* ---- what hostel-guest gets ---- */

static struct err *add_seccomp(const json_t *guest, json_t *doc)
{
	const char *path = jx_str(guest, "seccomp_bpf", NULL);
	OWN(str) struct str hex = { 0 };
	OWN(fd) int fd = -1;
	uint8_t buf[4096];
	ssize_t n;

	if (!path)
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(errno, "open %s", path);
	while ((n = read(fd, buf, sizeof(buf))) > 0 && hex.len < 2 * BPF_MAX)
		for (ssize_t i = 0; i < n; i++)
			str_addf(&hex, "%02x", buf[i]);
	if (n < 0)
		return err_sys(errno, "read %s", path);
	json_object_set_new(doc, "seccomp", json_stringn(hex.len ? hex.buf : "", hex.len));
	return NULL;
}

/* What makes a copy another one than what it was copied from, and both other than before. */
static struct err *add_renewal(const struct saved_state *saved, json_t *doc)
{
	uint8_t seed[SEED_BYTES];
	OWN(str) struct str hex = { 0 };

	if (!saved->is_restored)
		return NULL;
	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		return err_sys(errno, "random numbers");
	for (size_t i = 0; i < sizeof(seed); i++)
		str_addf(&hex, "%02x", seed[i]);
	jx_set_str(doc, "seed", hex.buf);
	json_object_set_new(doc, "new", json_boolean(saved->is_new));
	return NULL;
}

static struct err *write_start(const json_t *plan, const struct saved_state *saved, int fd)
{
	json_t *guest = json_object_get(plan, "guest");
	const json_t *rootfs = json_object_get(host_of(plan), "rootfs");
	OWN(json) json_t *doc = json_object();
	OWN(mem) char *text = NULL;

	json_object_set(doc, "guest", guest);
	json_object_set_new(doc, "image", json_boolean(has_image(plan)));
	json_object_set(doc, "memory_bytes",
			json_object_get(json_object_get(host_of(plan), "vm"), "memory_bytes"));
	json_object_set_new(doc, "readonly", json_boolean(jx_bool(rootfs, "readonly", false)));
	jx_set_str(doc, "name", jx_str(plan, "name", NULL));
	json_object_set_new(doc, "alone", json_boolean(jx_bool(guest, "alone", false)));
	if (!saved->is_restored)
		TRY(add_seccomp(guest, doc));
	TRY(add_renewal(saved, doc));
	text = jx_text(doc);
	return fd_write_all(fd, text, strlen(text));
}

/* ---- phases ---- */

static struct err *make_cgroup(const json_t *plan)
{
	const char *path = jx_str(host_of(plan), "cgroup", NULL);
	OWN(resources) struct resources r = { 0 };

	if (!path)
		return NULL;
	TRY(resources_read(json_object_get(host_of(plan), "resources"), &r));
	TRY(cgroup_create(path, &r.l));
	return cgroup_join(path);
}

static struct err *open_tap(const json_t *plan, int *ret_fd)
{
	struct net_link link;

	if (!qemu_wants_tap(plan))
		return NULL;
	TRY(net_link_from_plan(json_object_get(host_of(plan), "net"), &link));
	return net_tap_open(&link, ret_fd);
}

/* A file that others may not read is copied: QEMU opens it again by /proc/self/fd. */
static struct err *copy_for_all(int *fd, off_t size)
{
	OWN(fd) int copy = memfd_create("kernel", MFD_CLOEXEC);
	off_t at = 0;

	if (copy < 0)
		return err_sys(errno, "memfd");
	while (at < size)
		if (sendfile(copy, *fd, &at, (size_t)(size - at)) <= 0)
			return err_sys(errno, "copy");
	close(*fd);
	*fd = TAKE_FD(copy);
	return NULL;
}

static struct err *open_file(const struct qemu_file *f, int *ret_fd)
{
	int fd = open(f->path, (f->is_writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(errno, "open %s", f->path);
	*ret_fd = fd;
	if (f->is_read_whole && !(st.st_mode & S_IROTH))
		TRY_MSG(copy_for_all(ret_fd, st.st_size), "read %s", f->path);
	return NULL;
}

static struct err *open_files(const json_t *plan, int *fds, size_t *n)
{
	struct qemu_file files[QEMU_FILES_MAX];

	TRY(qemu_files(plan, files, n));
	for (size_t i = 0; i < *n; i++)
		TRY(open_file(&files[i], &fds[i]));
	return NULL;
}

/* Moves fds[i] to descriptor i (-1: closed), the report pipe stays, the rest goes. */
static struct err *place(int *fds, size_t n, int *report)
{
	int base = (int)n + 1;

	*report = fcntl(*report, F_DUPFD_CLOEXEC, base);
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, base);
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0 && dup2(fds[i], (int)i) < 0)
			return err_sys(errno, "dup2");
		else if (fds[i] < 0)
			close((int)i);
	/* All above goes with the exec. */
	if (syscall(SYS_close_range, base, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return err_sys(errno, "close_range");
	return NULL;
}

/* An owner of nothing, another one for each instance, so that no QEMU can touch another. */
static uid_t uid_of(const char *id)
{
	char digits[7] = { 0 };

	strncpy(digits, id, sizeof(digits) - 1);
	return 0x70000000u + (uid_t)strtoul(digits, NULL, 16);
}

static struct err *drop_privileges(const char *id, bool is_kvm)
{
	uid_t uid = uid_of(id);
	struct stat st;
	gid_t kvm = is_kvm && stat("/dev/kvm", &st) == 0 ? st.st_gid : uid;

	if (setgroups(1, &kvm) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_sys(errno, "become user %u", uid);
	return NULL;
}

static struct err *settle(void)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return err_sys(errno, "prctl");
	setsid();
	return NULL;
}

static void note(const char *text, char to[STARTER_CGROUP_MAX])
{
	snprintf(to, STARTER_CGROUP_MAX, "%s", text);
}

/* A disk that the instance writes and that is not its own. */
static const char *in_place(const json_t *plan, const char *state_dir)
{
	const json_t *disks = json_object_get(json_object_get(host_of(plan), "vm"), "disks");
	json_t *d;
	size_t i;

	json_array_foreach(disks, i, d)
	{
		const char *path = jx_str(d, "path", "");

		if (!jx_bool(d, "readonly", false) &&
		    strncmp(path, state_dir, strlen(state_dir)) != 0)
			return path;
	}
	return "";
}

/* ---- what is brought back ---- */

struct restored {
	struct saved_state st;
	struct str unread, unsent;
};

static void own_restored_release(struct restored *r)
{
	str_done(&r->unread);
	str_done(&r->unsent);
}

static struct err *load_restored(const struct starter *s, json_t *plan, struct restored *ret)
{
	if (!s->restore_dir)
		return NULL;
	TRY(saved_load(s->restore_dir, plan, &ret->st, &ret->unread, &ret->unsent));
	json_object_set_new(json_object_get(json_object_get(plan, "host"), "vm"), "restored",
			    json_true());
	return NULL;
}

static struct err *make_preload(int *ret_fd)
{
	*ret_fd = memfd_create("preload", MFD_CLOEXEC);
	if (*ret_fd < 0)
		return err_sys(errno, "memfd");
	return fd_write_all(*ret_fd, qemu_preload, qemu_preload_len);
}

/* Memory that is too short would kill QEMU when it touches the end. */
static struct err *open_restored(const struct starter *s, const json_t *plan, size_t n, int *fds)
{
	OWN(mem) char *memory = NULL;
	OWN(mem) char *stream = NULL;
	int64_t bytes = jx_int(json_object_get(host_of(plan), "vm"), "memory_bytes", 0);
	struct stat st;

	if (!s->restore_dir)
		return NULL;
	memory = xasprintf("%s/" SAVED_MEMORY, s->restore_dir);
	stream = xasprintf("%s/" SAVED_STREAM, s->restore_dir);
	TRY(open_file(&(struct qemu_file) { .path = memory }, &fds[QEMU_FD_RAM(n)]));
	TRY(open_file(&(struct qemu_file) { .path = stream }, &fds[QEMU_FD_STATE(n)]));
	if (fstat(fds[QEMU_FD_RAM(n)], &st) < 0 || st.st_size != bytes)
		return err_new(ERR_CORRUPT, "%s: it is damaged: not the guest's memory", memory);
	return make_preload(&fds[QEMU_FD_LIB(n)]);
}

static struct err *report_info(const struct starter_info *info, const struct restored *r, int fd)
{
	TRY(fd_write_all(fd, info, sizeof(*info)));
	TRY(fd_write_all(fd, r->unread.buf, r->unread.len));
	return fd_write_all(fd, r->unsent.buf, r->unsent.len);
}

static struct err *run(const struct starter *s, int *report)
{
	char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", preload[48];
	char *const envp[] = { path, s->restore_dir ? preload : NULL, NULL };
	OWN(json) json_t *plan = NULL;
	OWN(restored) struct restored restored = { 0 };
	const json_t *vm;
	struct strv argv = { 0 };
	int fds[QEMU_FDS_MAX];
	struct starter_info info;
	struct qemu_file files[QEMU_FILES_MAX];
	const struct qemu_facts facts = qemu_facts_of_host(s->state_dir);
	size_t n = 0;

	TRY(load_plan(s->state_dir, &plan));
	TRY(qemu_plan_complete(plan, &facts));
	TRY(load_restored(s, plan, &restored));
	TRY(qemu_files(plan, files, &n));
	vm = json_object_get(host_of(plan), "vm");
	restored.st.state_fd = QEMU_FD_STATE(n);
	info = (struct starter_info) {
		.what = STARTER_INFO,
		.is_agent = jx_bool(vm, "agent", false),
		.is_idle = !has_image(plan),
		.boot_timeout_ms = jx_int(vm, "boot_timeout_ms", 60000),
		.has_tap = qemu_wants_tap(plan),
		.saved = restored.st,
	};
	if (strlen(jx_str(host_of(plan), "cgroup", "")) < sizeof(info.cgroup))
		note(jx_str(host_of(plan), "cgroup", ""), info.cgroup);
	note(in_place(plan, s->state_dir), info.in_place);
	TRY(write_start(plan, &restored.st, s->start));
	TRY(report_info(&info, &restored, *report));
	TRY(qemu_disks_make(plan));
	TRY_MSG(make_cgroup(plan), "cgroup");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = -1;
	TRY_MSG(open_tap(plan, &fds[QEMU_FD_TAP]), "tap");
	TRY(open_files(plan, fds + QEMU_FD_FILES, &n));
	TRY(open_restored(s, plan, n, fds));
	snprintf(preload, sizeof(preload), "LD_PRELOAD=/proc/self/fd/%d", QEMU_FD_LIB(n));
	fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fds[1] = s->output;
	fds[2] = s->output;
	fds[QEMU_FD_QMP] = s->qmp;
	fds[QEMU_FD_CONSOLE] = s->console;
	fds[QEMU_FD_AGENT] = s->agent;
	TRY(qemu_argv(plan, &argv));
	TRY(place(fds, QEMU_FD_LIB(n) + 1, report));
	TRY(drop_privileges(s->id, !strcmp(jx_str(vm, "accel", "tcg"), "kvm")));
	TRY(settle());
	execve(argv.v[0], argv.v, envp);
	return err_sys(errno, "exec %s", argv.v[0]);
}

_Noreturn void starter_run(const struct starter *s)
{
	int report = s->report;
	struct err *e = run(s, &report);
	const char *text = err_text(e);
	struct starter_failure f = { .what = STARTER_FAILURE,
				     .kind = err_kind(e),
				     .text_len = (uint32_t)strlen(text) };

	if (f.text_len > STARTER_TEXT_MAX)
		f.text_len = STARTER_TEXT_MAX;
	err_free(fd_write_all(report, &f, sizeof(f)));
	err_free(fd_write_all(report, text, f.text_len));
	_exit(1);
}

struct err *qemu_undo(const char *state_dir)
{
	OWN(json) json_t *plan = NULL;
	const json_t *net;
	const char *cgroup, *ifname;

	TRY(load_plan(state_dir, &plan));
	cgroup = jx_str(host_of(plan), "cgroup", NULL);
	net = json_object_get(host_of(plan), "net");
	ifname = jx_str(net, "host_ifname", NULL);
	if (cgroup) {
		TRY(cgroup_kill(cgroup, KILL_TIMEOUT_MS));
		TRY(cgroup_remove(cgroup, REMOVE_TIMEOUT_MS));
	}
	if (ifname && qemu_wants_tap(plan))
		TRY(net_link_delete(ifname));
	return NULL;
}
