/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/nl_int.h"
#include "util/fd.h"

static struct nlmsghdr *last(struct nl_batch *b)
{
	return (struct nlmsghdr *)(void *)(b->buf.bytes + b->last);
}

void nl_raw(struct nl_batch *b, const void *data, size_t size)
{
	size_t padded = NLMSG_ALIGN(size);

	assert(b->len + padded <= sizeof(b->buf.bytes));
	memset(b->buf.bytes + b->len, 0, padded);
	if (size)
		memcpy(b->buf.bytes + b->len, data, size);
	b->len += padded;
	last(b)->nlmsg_len = (uint32_t)(b->len - b->last);
}

void nl_add(struct nl_batch *b, int type, int flags, const void *head, size_t size,
	    const char *what)
{
	struct nlmsghdr h = {
		.nlmsg_len = sizeof(h),
		.nlmsg_type = (uint16_t)type,
		.nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST | NLM_F_ACK),
		.nlmsg_seq = b->n,
	};

	assert(b->n < NL_BATCH_MAX);
	b->m[b->n].what = what;
	memset(b->m[b->n].fine, 0, sizeof(b->m[b->n].fine));
	b->n++;
	b->last = b->len;
	nl_raw(b, &h, sizeof(h));
	nl_raw(b, head, size);
}

void nl_fine(struct nl_batch *b, int errnum)
{
	int *fine = b->m[b->n - 1].fine;

	fine[fine[0] ? 1 : 0] = errnum;
}

void nl_put(struct nl_batch *b, int type, const void *data, size_t size)
{
	struct rtattr a = { .rta_len = (unsigned short)RTA_LENGTH(size),
			    .rta_type = (unsigned short)type };

	nl_raw(b, &a, sizeof(a));
	nl_raw(b, data, size);
}

void nl_put_u32(struct nl_batch *b, int type, uint32_t value)
{
	nl_put(b, type, &value, sizeof(value));
}

void nl_put_text(struct nl_batch *b, int type, const char *text)
{
	nl_put(b, type, text, strlen(text) + 1);
}

size_t nl_nest(struct nl_batch *b, int type)
{
	size_t at = b->len;

	nl_put(b, type, NULL, 0);
	return at;
}

void nl_nest_end(struct nl_batch *b, size_t at)
{
	struct rtattr *a = (struct rtattr *)(void *)(b->buf.bytes + at);

	a->rta_len = (unsigned short)(b->len - at);
}

static bool is_fine(const struct nl_batch *b, unsigned i, int errnum)
{
	return !errnum || errnum == b->m[i].fine[0] || errnum == b->m[i].fine[1];
}

static struct err *open_socket(int protocol, int *ret)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	int one = 1;

	if (fd < 0)
		return err_sys(errno, "open netlink socket");
	/* Answers then do not repeat the request, so that all fit one buffer. */
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	*ret = fd;
	return NULL;
}

static struct err *transmit(int fd, const void *data, size_t len)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	if (sendto(fd, data, len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return err_sys(errno, "send to netlink");
	return NULL;
}

static struct err *receive(int fd, void *buf, size_t size, size_t *ret_len)
{
	ssize_t n;

	do
		n = recv(fd, buf, size, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(errno, "receive from netlink");
	if ((size_t)n > size)
		return err_new(ERR_INTERNAL, "netlink message of %zd bytes", n);
	*ret_len = (size_t)n;
	return NULL;
}

/* Take one answer; the first failure stays in *first. */
static void take_ack(const struct nl_batch *b, const struct nlmsghdr *h, struct err **first)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);

	if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)))
		return;
	if (h->nlmsg_seq >= b->n || is_fine(b, h->nlmsg_seq, -e->error) || *first)
		return;
	*first = err_sys(-e->error, "%s", b->m[h->nlmsg_seq].what);
}

struct err *nl_run(const struct nl_batch *b)
{
	union {
		struct nlmsghdr align;
		char bytes[4096];
	} in;
	struct err *first = NULL;
	OWN(fd) int fd = -1;

	TRY(open_socket(b->protocol, &fd));
	TRY(transmit(fd, b->buf.bytes, b->len));
	for (unsigned acks = 0; acks < b->n;) {
		struct nlmsghdr *h = &in.align;
		size_t len = 0;
		struct err *e = receive(fd, &in, sizeof(in), &len);

		if (e) {
			err_free(first);
			return e;
		}
		for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len), acks++)
			take_ack(b, h, &first);
	}
	return first;
}

struct err *nl_dump(int type, const void *head, size_t size,
		    void (*fn)(void *arg, const struct nlmsghdr *h), void *arg)
{
	struct nl_batch b = { .len = 0 };

	nl_add(&b, type, NLM_F_DUMP, head, size, "dump");
	return nl_dump_batch(&b, fn, arg);
}

struct err *nl_dump_batch(const struct nl_batch *b, void (*fn)(void *arg, const struct nlmsghdr *h),
			  void *arg)
{
	union {
		struct nlmsghdr align;
		char bytes[32 * 1024];
	} in;
	OWN(fd) int fd = -1;

	TRY(open_socket(b->protocol, &fd));
	TRY(transmit(fd, b->buf.bytes, b->len));
	for (;;) {
		size_t len = 0;

		TRY(receive(fd, &in, sizeof(in), &len));
		for (struct nlmsghdr *h = &in.align; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
			const struct nlmsgerr *e = NLMSG_DATA(h);

			if (h->nlmsg_type == NLMSG_DONE)
				return NULL;
			if (h->nlmsg_type == NLMSG_ERROR)
				return e->error ? err_sys(-e->error, "netlink dump") : NULL;
			fn(arg, h);
		}
	}
}

struct err *nl_get_link(int index, void (*fn)(void *arg, const struct nlmsghdr *h), void *arg)
{
	const struct ifinfomsg head = { .ifi_index = index };
	struct nl_batch b = { .len = 0 };
	union {
		struct nlmsghdr align;
		char bytes[16 * 1024];
	} in;
	OWN(fd) int fd = -1;
	size_t len = 0;

	nl_add(&b, RTM_GETLINK, 0, &head, sizeof(head), "get link");
	TRY(open_socket(NETLINK_ROUTE, &fd));
	TRY(transmit(fd, b.buf.bytes, b.len));
	TRY(receive(fd, &in, sizeof(in), &len));
	if (NLMSG_OK(&in.align, len))
		fn(arg, &in.align);
	return NULL;
}

const struct rtattr *nl_attr(const struct nlmsghdr *h, size_t head, int type)
{
	size_t skip = NLMSG_SPACE(head);
	const struct rtattr *a = (const struct rtattr *)(const void *)((const char *)h + skip);
	size_t len = h->nlmsg_len > skip ? h->nlmsg_len - skip : 0;

	for (; RTA_OK(a, len); a = RTA_NEXT(a, len))
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}

struct err *nl_index(const char *ifname, int *ret)
{
	struct ifreq r = { 0 };
	OWN(fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(errno, "open socket");
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCGIFINDEX, &r) < 0)
		return errno == ENODEV ? err_new(ERR_NOT_FOUND, "no network interface %s", ifname)
				       : err_sys(errno, "interface %s", ifname);
	*ret = r.ifr_ifindex;
	return NULL;
}
