/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bare QEMU command line's init: what any initramfs must do to run one program of an
 * image in a VM, and nothing more: modules, the image, the program, power off.  The figure
 * "hostel run --vm IMAGE true" is measured against it (bench/vm.py).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	char list[4096] = "", *save = NULL;
	int fd = open("/modules.list", O_RDONLY);
	pid_t pid;

	mkdir("/dev", 0755);
	mkdir("/root", 0755);
	(void)!read(fd, list, sizeof(list) - 1);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	for (char *m = strtok_r(list, "\n", &save); m; m = strtok_r(NULL, "\n", &save))
		syscall(SYS_finit_module, open(m, O_RDONLY), "", 0);
	if (mount("/dev/vda", "/root", "erofs", MS_RDONLY, NULL) < 0)
		perror("mount");
	pid = fork();
	if (!pid) {
		if (chroot("/root") == 0)
			execl("/bin/true", "true", NULL);
		_exit(127);
	}
	(void)waitpid(pid, NULL, 0);
	reboot(RB_POWER_OFF);
}
