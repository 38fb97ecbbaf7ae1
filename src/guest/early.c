/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/early.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/root.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define PORT_WAIT_NS 10000000000ll

struct kernel_fs {
	const char *type, *target, *options;
	unsigned long flags;
};

static const struct kernel_fs kernel_fs[] = {
	{ "devtmpfs", "/dev", "mode=0755", MS_NOSUID },
	{ "proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "devpts", "/dev/pts", "ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC },
	{ "tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV },
};

struct err *guest_mount_kernel_fs(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(kernel_fs); i++) {
		const struct kernel_fs *k = &kernel_fs[i];

		if (mkdir(k->target, 0755) < 0 && errno != EEXIST)
			return err_sys(errno, "create %s", k->target);
		/* Some kernels mount /dev by themselves. */
		if (mount(k->type, k->target, k->type, k->flags, k->options) < 0 && errno != EBUSY)
			return err_sys(errno, "mount %s", k->target);
	}
	return NULL;
}

static struct err *load_module(const char *path)
{
	OWN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(errno, "open %s", path);
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST && errno != ENODEV)
		return err_sys(errno, "load %s", path);
	return NULL;
}

struct err *guest_load_modules(void)
{
	OWN(mem) char *list = NULL;
	char *save = NULL;

	TRY(fd_read_file(AT_FDCWD, "/modules.list", 64 * 1024, &list));
	for (char *p = strtok_r(list, "\n", &save); p; p = strtok_r(NULL, "\n", &save))
		TRY(load_module(p));
	return NULL;
}

/* Does not leave the file system that @dirfd is on; consumes @dirfd. */
static void delete_below(int dirfd, dev_t dev)
{
	DIR *d = fdopendir(dirfd);
	struct dirent *e;
	struct stat st;

	if (!d) {
		close(dirfd);
		return;
	}
	while ((e = readdir(d))) {
		int sub;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != dev)
			continue;
		sub = S_ISDIR(st.st_mode) ? openat(dirfd, e->d_name,
						   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
					  : -1;
		if (sub >= 0)
			delete_below(sub, dev);
		unlinkat(dirfd, e->d_name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
	}
	closedir(d);
}

#define NEW_ROOT "/.root"

static struct err *move_to_new_root(const char *path)
{
	char to[64];

	snprintf(to, sizeof(to), NEW_ROOT "%s", path);
	if (mkdir(to, 0755) < 0 && errno != EEXIST)
		return err_sys(errno, "create %s", to);
	if (mount(path, to, NULL, MS_MOVE, NULL) < 0)
		return err_sys(errno, "move %s", path);
	return NULL;
}

/* Only a VM without an image gets programs with its initramfs. */
static void keep_busybox(void)
{
	if (access("/bin/busybox", X_OK) < 0)
		return;
	err_free(fd_mkdirs(NEW_ROOT GUEST_IDLE "/bin"));
	err_free(guest_copy_file("/bin/busybox", NEW_ROOT GUEST_IDLE "/bin/busybox", 0755));
}

struct err *guest_leave_initramfs(int *ret_old)
{
	static const char *const dirs[] = { "/run", "/tmp", "/etc", "/mnt" };
	static const char *const moved[] = { "/dev", "/proc", "/sys" };
	OWN(fd) int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (old < 0 || (mkdir(NEW_ROOT, 0755) < 0 && errno != EEXIST))
		return err_sys(errno, "prepare " NEW_ROOT);
	if (mount("tmpfs", NEW_ROOT, "tmpfs", 0, "mode=0755") < 0)
		return err_sys(errno, "mount " NEW_ROOT);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char path[32];

		snprintf(path, sizeof(path), NEW_ROOT "%s", dirs[i]);
		if (mkdir(path, 0755) < 0)
			return err_sys(errno, "create %s", path);
	}
	keep_busybox();
	for (size_t i = 0; i < ARRAY_SIZE(moved); i++)
		TRY(move_to_new_root(moved[i]));
	if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return err_sys(errno, "move the root");
	*ret_old = TAKE_FD(old);
	return NULL;
}

void guest_delete_initramfs(int old)
{
	struct stat st;

	if (fstat(old, &st) == 0)
		delete_below(old, st.st_dev);
	else
		close(old);
}

static bool is_our_port(const char *name)
{
	OWN(mem) char *text = NULL;
	char path[320];
	struct err *e;

	snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", name);
	e = fd_read_file(AT_FDCWD, path, 256, &text);
	err_free(e);
	return !e && !strcmp(text, GUEST_PORT_NAME "\n");
}

/* Descriptor of the port, or -1 when it is not there yet. */
static int look_for_port(void)
{
	DIR *d = opendir("/sys/class/virtio-ports");
	char path[300];
	struct dirent *e;
	int fd = -1;

	while (d && fd < 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.' || !is_our_port(e->d_name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	}
	if (d)
		closedir(d);
	return fd;
}

/* The port's name comes by a control message of its own, a moment after its device. */
#define PORT_RETRY_MS 2

struct err *guest_open_port(int *ret_fd)
{
	OWN(fd) int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int64_t until = clock_boot_ns() + PORT_WAIT_NS;
	char buf[4096];

	if (watch >= 0)
		(void)inotify_add_watch(watch, "/dev", IN_CREATE);
	while (clock_boot_ns() < until) {
		struct pollfd p = { .fd = watch, .events = POLLIN };
		int fd = look_for_port();

		if (fd >= 0) {
			*ret_fd = fd;
			return NULL;
		}
		(void)poll(&p, 1, PORT_RETRY_MS);
		(void)!read(watch, buf, sizeof(buf));
	}
	return err_new(ERR_UNAVAILABLE, "no virtio port named " GUEST_PORT_NAME);
}
