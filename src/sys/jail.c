/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/jail.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/caps.h"
#include "sys/filter.h"

#define BIT(cap) (UINT64_C(1) << (cap))

/* SYS_ADMIN is what trusted.overlay.* attributes ask for. */
#define KEEP                                                                                       \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) |              \
	 BIT(CAP_MKNOD) | BIT(CAP_SETFCAP) | BIT(CAP_SYS_ADMIN))

struct err *jail_private_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(errno, "unshare mounts");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(errno, "make mounts private");
	return NULL;
}

static struct err *change_root(const char *dir)
{
	if (mount(dir, dir, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(dir) < 0)
		return err_sys(errno, "bind %s", dir);
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(errno, "pivot_root %s", dir);
	/* The old root now lies over the new one. */
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_sys(errno, "leave the old root");
	return NULL;
}

struct err *jail_drop_privileges(void)
{
	struct caps caps = { 0 };
	uint64_t own = 0;

	TRY(caps_own(&own));
	caps.bounding = caps.effective = caps.permitted = own & KEEP;
	TRY(caps_drop_bounding(caps.bounding));
	TRY(caps_apply(&caps));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(errno, "no_new_privs");
	return filter_enter();
}

struct err *jail_enter(const char *dir)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return err_sys(errno, "unshare");
	TRY(jail_private_mounts());
	TRY(change_root(dir));
	return jail_drop_privileges();
}
