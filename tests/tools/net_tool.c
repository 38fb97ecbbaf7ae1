/* SPDX-License-Identifier: Apache-2.0 */

/*
 * net_tool: the calls of net and nft, one a command, for tests/test_net.py.
 * Prints what a call gives; exit 1 with the error on stderr.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/net.h"
#include "nft/nft.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

static struct err *do_choose(char **a)
{
	struct net_prefix p = { 0 };
	char text[NET_ADDRESS_TEXT];

	TRY(net_subnet_choose(a[0], NULL, 0, &p));
	puts(net_prefix_text(&p, text));
	return NULL;
}

static struct err *do_check(char **a)
{
	struct net_prefix p = { 0 };

	TRY(net_parse_prefix(a[1], &p));
	return net_subnet_check(a[0], &p);
}

static struct err *do_bridge(char **a)
{
	struct net_prefix p = { 0 };

	TRY(net_parse_prefix(a[1], &p));
	return net_bridge_ensure(a[0], &p);
}

static struct err *do_unbridge(char **a)
{
	return net_bridge_delete(a[0]);
}

/* HOST_IFNAME BRIDGE ADDRESS EGRESS INGRESS */
static struct err *read_link(char **a, struct net_link *l)
{
	uint32_t address = 0;

	snprintf(l->host_ifname, IFNAMSIZ, "%s", a[0]);
	snprintf(l->bridge, IFNAMSIZ, "%s", a[1]);
	snprintf(l->ifname, IFNAMSIZ, "eth0");
	TRY(net_parse_address(a[2], &address));
	net_mac_from_address(address, l->mac);
	l->egress_bps = atoll(a[3]);
	l->ingress_bps = atoll(a[4]);
	return NULL;
}

static struct err *do_veth(char **a)
{
	struct net_link l = { .mtu = 0 };
	int64_t start = clock_boot_ns();

	TRY(read_link(a, &l));
	TRY(net_veth_create(&l, atoi(a[5])));
	printf("%lld\n", (long long)(clock_boot_ns() - start) / 1000);
	return NULL;
}

static struct err *tap_inside(const char *pid, int *ret_fd)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	char path[64];
	OWN(fd) int ns = -1;
	OWN(fd) int fd = -1;

	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "eth0");
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		return err_sys(errno, "enter %s", path);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
		return err_sys(errno, "make tap");
	*ret_fd = TAKE_FD(fd);
	return NULL;
}

static void copy_frame(int from, int to)
{
	char frame[70000];
	ssize_t n = read(from, frame, sizeof(frame));

	if (n > 0 && write(to, frame, (size_t)n) < 0 && errno != EAGAIN && errno != EIO)
		perror("write frame");
}

/* Stands for a VM: frames go between the tap and one in the namespace of a process (EOF ends). */
static struct err *do_tap(char **a)
{
	struct net_link l = { .mtu = 0 };
	OWN(fd) int tap = -1;
	OWN(fd) int inside = -1;

	TRY(read_link(a, &l));
	TRY(net_tap_open(&l, &tap));
	TRY(tap_inside(a[5], &inside));
	puts("ready");
	fflush(stdout);

	struct pollfd p[] = { { 0, POLLIN, 0 }, { tap, POLLIN, 0 }, { inside, POLLIN, 0 } };

	while (!p[0].revents && poll(p, 3, -1) > 0) {
		if (p[1].revents & POLLIN)
			copy_frame(tap, inside);
		if (p[2].revents & POLLIN)
			copy_frame(inside, tap);
	}
	return NULL;
}

static struct err *do_rates(char **a)
{
	struct net_link l = { .mtu = 0 };

	TRY(read_link(a, &l));
	return net_set_rates(&l);
}

static struct err *do_unlink(char **a)
{
	return net_link_delete(a[0]);
}

static struct err *do_stats(char **a)
{
	struct net_stats s = { 0 };

	TRY(net_link_stats(a[0], &s));
	printf("%llu %llu\n", (unsigned long long)s.rx_bytes, (unsigned long long)s.tx_bytes);
	return NULL;
}

/* IFNAME ADDRESS/LEN GATEWAY */
static struct err *do_configure(char **a)
{
	struct net_config c = { .mtu = 0 };
	int64_t start = clock_boot_ns();

	snprintf(c.ifname, IFNAMSIZ, "%s", a[0]);
	TRY(net_parse_prefix(a[1], &c.address));
	TRY(net_parse_address(a[2], &c.gateway));
	TRY(net_configure(&c));
	printf("%lld\n", (long long)(clock_boot_ns() - start) / 1000);
	return NULL;
}

static struct err *do_lo(char **a)
{
	const struct net_config c = { .mtu = 0 };

	(void)a;
	return net_configure(&c);
}

static struct err *do_nft_setup(char **a)
{
	OWN(nft) struct nft *n = NULL;

	TRY(nft_open(a[0], &n));
	return nft_setup(n, &(struct nft_network) { .subnet = a[1], .bridge = a[2] }, 1, NULL, 0);
}

static struct err *do_nft_teardown(char **a)
{
	OWN(nft) struct nft *n = NULL;

	TRY(nft_open(a[0], &n));
	return nft_teardown(n);
}

/* TABLE PROTO HOST_ADDRESS HOST_PORT ADDRESS PORT; three times in one context, for the time */
static struct err *publish(char **a,
			   struct err *(*call)(struct nft *, const struct nft_port *, size_t))
{
	const struct nft_port p = { .proto = a[1],
				    .host_address = a[2],
				    .host_port = atoi(a[3]),
				    .address = a[4],
				    .port = atoi(a[5]) };
	OWN(nft) struct nft *n = NULL;
	int64_t start = 0;

	TRY(nft_open(a[0], &n));
	for (int i = 0; i < 3; i++) {
		start = clock_boot_ns();
		TRY(call(n, &p, 1));
	}
	printf("%lld\n", (long long)(clock_boot_ns() - start) / 1000);
	return NULL;
}

static struct err *do_publish(char **a)
{
	return publish(a, nft_publish);
}

static struct err *do_unpublish(char **a)
{
	return publish(a, nft_unpublish);
}

static struct err *do_claim(char **a)
{
	struct net_port_range w = { .proto = streq(a[0], "udp") ? NET_UDP : NET_TCP,
				    .first = atoi(a[2]),
				    .last = atoi(a[2]) };
	int port = 0, fd = -1;

	TRY(net_parse_address(a[1], &w.address));
	TRY(net_port_claim(&w, &port, &fd));
	printf("%d\n", port);
	close(fd);
	return NULL;
}

static struct err *do_forget(char **a)
{
	const int port = atoi(a[0]);

	return net_udp_forget(&port, 1);
}

static const struct command {
	const char *name;
	int n_args;
	struct err *(*run)(char **args);
} commands[] = {
	{ "choose", 1, do_choose },
	{ "check", 2, do_check },
	{ "bridge", 2, do_bridge },
	{ "unbridge", 1, do_unbridge },
	{ "veth", 6, do_veth },
	{ "tap", 6, do_tap },
	{ "rates", 5, do_rates },
	{ "unlink", 1, do_unlink },
	{ "stats", 1, do_stats },
	{ "configure", 3, do_configure },
	{ "lo", 0, do_lo },
	{ "nft-setup", 3, do_nft_setup },
	{ "nft-teardown", 1, do_nft_teardown },
	{ "publish", 6, do_publish },
	{ "unpublish", 6, do_unpublish },
	{ "claim", 3, do_claim },
	{ "forget", 1, do_forget },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (argc < 2 || !streq(argv[1], commands[i].name) || argc - 2 != commands[i].n_args)
			continue;

		OWN(err) struct err *e = commands[i].run(argv + 2);

		if (e)
			fprintf(stderr, "%s\n", err_text(e));
		return e != NULL;
	}
	fprintf(stderr, "usage: net_tool COMMAND ARGS\n");
	return 2;
}
