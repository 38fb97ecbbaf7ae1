/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bare QEMU command line's init: what any initramfs must do to run one program of an
 * image in a VM, and nothing more: modules, the network card if there is one, the image, the
 * program, power off.  The figure "hostel run --vm IMAGE true" is measured against it
 * (bench/vm.py).
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr address_of(const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr ret;

	inet_pton(AF_INET, text, &in.sin_addr);
	memcpy(&ret, &in, sizeof(ret));
	return ret;
}

static void set_up(int sock, const char *name, const char *address)
{
	struct ifreq r = { .ifr_flags = IFF_UP };

	strcpy(r.ifr_name, name);
	ioctl(sock, SIOCSIFFLAGS, &r);
	if (!address)
		return;
	r.ifr_addr = address_of(address);
	if (ioctl(sock, SIOCSIFADDR, &r) < 0)
		perror("address");
	r.ifr_netmask = address_of("255.255.0.0");
	ioctl(sock, SIOCSIFNETMASK, &r);
}

/* As hostel-guest has it: loopback, and the card with an address and a way out. */
static void set_network(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	struct rtentry way = { .rt_dst = address_of("0.0.0.0"),
			       .rt_genmask = address_of("0.0.0.0"),
			       .rt_gateway = address_of("10.255.0.1"),
			       .rt_flags = RTF_UP | RTF_GATEWAY };

	set_up(sock, "lo", NULL);
	if (!if_nametoindex("eth0"))
		return;
	set_up(sock, "eth0", "10.255.0.2");
	if (ioctl(sock, SIOCADDRT, &way) < 0)
		perror("route");
}

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
	set_network();
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
