/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net.h"
#include "net/port_int.h"
#include "util/fd.h"
#include "util/mem.h"

#define PORT_TABLE_MAX (16 << 20)

const char *net_proto_name(enum net_proto proto)
{
	return proto == NET_UDP ? "udp" : "tcp";
}

/* ---- who holds a port ---- */

/*
 * Words of /proc/net/tcp: "sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt
 * uid timeout inode"; an address is in-memory words as hex, a port plain hex.
 * A v6 wildcard holds the v4 port too; whether it is v6 only cannot be seen here.
 */
unsigned long port_line_inode(const char *line, const struct port_query *q)
{
	char address[33];
	unsigned port, state;
	unsigned long inode = 0;

	if (sscanf(line, " %*u: %32[0-9A-F]:%4X %*32[0-9A-F]:%*4X %2X %*s %*s %*s %*u %*u %lu",
		   address, &port, &state, &inode) != 4)
		return 0;
	if ((int)port != q->port || state != (q->proto == NET_TCP ? 0x0a : 0x07))
		return 0;
	if (!q->address || strspn(address, "0") == strlen(address))
		return inode;

	char want[9];

	snprintf(want, sizeof(want), "%08X", htonl(q->address));
	return streq(address, want) ? inode : 0;
}

static unsigned long table_inode(const char *path, const struct port_query *q)
{
	OWN(mem) char *text = NULL;
	char *rest = NULL;
	unsigned long inode = 0;
	struct err *e = fd_read_file(AT_FDCWD, path, PORT_TABLE_MAX, &text);

	if (e) {
		err_free(e);
		return 0;
	}
	for (char *line = strtok_r(text, "\n", &rest); line && !inode;
	     line = strtok_r(NULL, "\n", &rest))
		inode = port_line_inode(line, q);
	return inode;
}

static bool process_has_socket(const char *pid, const char *want)
{
	char path[64], target[64];
	OWN(fd) int dir = -1;
	const struct dirent *d;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	DIR *fds = dir < 0 ? NULL : fdopendir(dir);

	if (!fds)
		return false;
	while (!found && (d = readdir(fds))) {
		ssize_t n = readlinkat(dir, d->d_name, target, sizeof(target) - 1);

		target[n < 0 ? 0 : n] = '\0';
		found = !strcmp(target, want);
	}
	dir = -1;
	closedir(fds);
	return found;
}

static char *process_text(const char *pid)
{
	char path[64];
	OWN(mem) char *comm = NULL;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);

	struct err *e = fd_read_file(AT_FDCWD, path, 64, &comm);

	err_free(e);
	if (!e)
		comm[strcspn(comm, "\n")] = '\0';
	return xasprintf("%s (pid %s)", e ? "a program" : comm, pid);
}

static char *inode_holder(unsigned long inode)
{
	DIR *proc = opendir("/proc");
	const struct dirent *d;
	char want[64];
	char *text = NULL;

	if (!proc)
		return NULL;
	snprintf(want, sizeof(want), "socket:[%lu]", inode);
	while (!text && (d = readdir(proc)))
		if (isdigit((unsigned char)d->d_name[0]) && process_has_socket(d->d_name, want))
			text = process_text(d->d_name);
	closedir(proc);
	return text;
}

char *net_port_holder(enum net_proto proto, uint32_t address, int port)
{
	static const char *const tables[2][2] = { { "/proc/net/tcp", "/proc/net/tcp6" },
						  { "/proc/net/udp", "/proc/net/udp6" } };
	const struct port_query q = { .proto = proto, .address = address, .port = port };
	unsigned long inode = 0;

	for (int i = 0; i < 2 && !inode; i++)
		inode = table_inode(tables[proto == NET_UDP][i], &q);
	if (!inode)
		return NULL;

	char *text = inode_holder(inode);

	return text ? text : xstrdup("another program");
}

/* ---- claims ---- */

enum try_result { TRY_TAKEN, TRY_BOUND };

/* A listening socket keeps others from listening, a bound one would not with SO_REUSEADDR. */
static struct err *try_port(const struct net_port_range *w, int port, enum try_result *ret,
			    int *ret_fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(w->address) };
	int type = w->proto == NET_TCP ? SOCK_STREAM : SOCK_DGRAM;
	OWN(fd) int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd < 0)
		return err_sys(errno, "open socket");
	/* Not for udp, where it would let two sockets have one port. */
	if (w->proto == NET_TCP)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));

	int r = bind(fd, (struct sockaddr *)&a, sizeof(a));

	if (!r && w->proto == NET_TCP)
		r = listen(fd, 0);
	if (!r)
		*ret_fd = TAKE_FD(fd);
	else if (errno == EADDRNOTAVAIL)
		return err_new(ERR_INVALID, "cannot publish: the host does not have the address");
	else if (errno != EADDRINUSE)
		return err_sys(errno, "bind %d/%s", port, net_proto_name(w->proto));
	*ret = r ? TRY_TAKEN : TRY_BOUND;
	return NULL;
}

static struct err *taken(const struct net_port_range *w)
{
	OWN(mem) char *holder = NULL;
	const char *proto = net_proto_name(w->proto);

	if (w->first != w->last)
		return err_new(ERR_EXISTS, "no free port in %d-%d/%s", w->first, w->last, proto);
	holder = net_port_holder(w->proto, w->address, w->first);
	return err_new(ERR_EXISTS, "%d/%s is held by %s", w->first, proto,
		       holder ? holder : "another program");
}

static int bound_port(int fd)
{
	struct sockaddr_in a = { 0 };
	socklen_t len = sizeof(a);

	getsockname(fd, (struct sockaddr *)&a, &len);
	return ntohs(a.sin_port);
}

struct err *net_port_claim(const struct net_port_range *want, int *ret_port, int *ret_fd)
{
	enum try_result r = TRY_TAKEN;
	OWN(fd) int fd = -1;

	if (want->first < 0 || want->last > 65535 || want->last < want->first)
		return err_new(ERR_INVALID, "%d-%d is no range of ports", want->first, want->last);
	for (int port = want->first; port <= want->last && r == TRY_TAKEN; port++)
		TRY(try_port(want, port, &r, &fd));
	if (r == TRY_TAKEN)
		return taken(want);
	*ret_port = bound_port(fd);
	*ret_fd = TAKE_FD(fd);
	return NULL;
}
