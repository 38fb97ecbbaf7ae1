/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_PORT_INT_H
#define NET_PORT_INT_H

#include "net/net.h"

struct port_query {
	enum net_proto proto;
	uint32_t address; /* 0: any */
	int port;
};

/**
 * port_line_inode() - socket inode of a line of /proc/net/{tcp,udp}[6] when it holds the port,
 * 0 otherwise.  Pure.
 * Spec: proc(5), Documentation/networking/proc_net_tcp.rst
 */
unsigned long port_line_inode(const char *line, const struct port_query *q);

#endif
