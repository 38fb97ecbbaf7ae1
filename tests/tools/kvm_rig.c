/* SPDX-License-Identifier: Apache-2.0 */

/*
 * kvm_rig: /init of a machine under emulation that has KVM (nested SVM).  Loads the modules that
 * /kvm.list names, probes KVM, prints one line on the console, and switches off.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kvm/kvm.h"

static void load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (syscall(SYS_finit_module, fd, "", 0) < 0)
		perror(path);
	close(fd);
}

int main(void)
{
	struct kvm_result r;
	char line[128];
	FILE *list;

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	if (!freopen("/dev/console", "w", stdout))
		return 1;
	list = fopen("/kvm.list", "re");
	while (list && fgets(line, sizeof(line), list)) {
		line[strcspn(line, "\n")] = '\0';
		load(line);
	}
	kvm_probe("/dev/kvm", &r);
	printf("probe: %s %llu %s\n", kvm_verdict_name(r.verdict), (unsigned long long)r.rate,
	       r.reason);
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	reboot(RB_AUTOBOOT);
}
