/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/nodes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/csv_int.h"
#include "util/mem.h"
#include "util/num.h"

#define COLUMNS_MAX 64
#define NODES_MAX   1000000

static const struct column {
	const char *name;
	enum resource what;
	int64_t scale; /* of a plain number */
} columns[] = {
	{ "cpu", RES_CPU, 1000 },          { "cpus", RES_CPU, 1000 },
	{ "cpu_milli", RES_CPU, 1 },       { "memory", RES_MEMORY, 1 },
	{ "memory_bytes", RES_MEMORY, 1 }, { "memory_mib", RES_MEMORY, 1 << 20 },
	{ "gpu", RES_GPUS, 1000 },         { "gpus", RES_GPUS, 1000 },
};

struct names {
	const struct column *v[COLUMNS_MAX];
	size_t n;
};

static void read_names(struct names *c, char *line, char *end)
{
	for (char *at = line; at && c->n < COLUMNS_MAX; c->n++) {
		const char *name = csv_cell(&at, end);

		for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
			if (!strcasecmp(columns[i].name, name))
				c->v[c->n] = &columns[i];
	}
}

static struct err *read_node(const struct names *c, char *line, char *end, struct amounts *ret)
{
	char *at = line;

	*ret = (struct amounts) { 0 };
	for (size_t i = 0; i < c->n && at; i++) {
		const char *text = csv_cell(&at, end), *stop;
		int64_t n = 0;

		if (!c->v[i] || !*text)
			continue;
		stop = scan_decimal(text, c->v[i]->scale, &n);
		if (!stop || *stop)
			TRY(num_parse_bytes(text, &n));
		if (n < 0)
			return err_new(ERR_CORRUPT, "\"%s\" is below zero", text);
		ret->v[c->v[i]->what] = n;
	}
	if (!ret->v[RES_CPU])
		return err_new(ERR_CORRUPT, "a node without cpus");
	return NULL;
}

struct err *sim_nodes_read(struct source in, struct amounts **ret, size_t *ret_n)
{
	OWN(lines) struct lines l = { 0 };
	OWN(mem) struct amounts *nodes = NULL;
	struct names names = { 0 };
	size_t n = 0, cap = 0;
	char *line, *end;

	lines_init(&l, in);
	TRY(lines_next(&l, &line, &end));
	if (line)
		read_names(&names, line, end);
	for (;;) {
		TRY(lines_next(&l, &line, &end));
		if (!line || n == NODES_MAX)
			break;
		if (line == end || (*line == '\r' && line + 1 == end))
			continue;
		if (n == cap) {
			cap = cap * 2 + 64;
			nodes = xrealloc(nodes, cap, sizeof(*nodes));
		}
		TRY_MSG(read_node(&names, line, end, &nodes[n]), "line %" PRIu64, l.number);
		n++;
	}
	if (!n)
		return err_new(ERR_CORRUPT, "no node in it");
	*ret = TAKE(nodes);
	*ret_n = n;
	return NULL;
}
